import type { Command } from 'commander'
import { perform, type RemoteOptions, remoteCommand } from '../remote.js'
import { withSteps } from '../steps.js'

/** `handover upgrade`: the supervisor's process is replaced by a new one; workers and connections stay. */
export function upgradeCommand(): Command {
  return remoteCommand(
    'upgrade',
    'Replace the supervisor by its new version: ports, workers and connections stay. Waits for it.',
  ).action(async (options: RemoteOptions) => {
    process.exitCode = await perform(options, async (client) => {
      const { name } = client.welcome
      const said = ({ pid, previous }: { pid: number; previous: number }): string =>
        `${name} is process ${pid} from now on, in place of ${previous}`
      await withSteps(client, options, { command: 'upgrade', order: {}, said })
      return 0
    })
  })
}
