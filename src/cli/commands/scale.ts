import type { Command } from 'commander'
import { WORKERS_MAX } from '../../limits.js'
import { workerCount } from '../parsers.js'
import { perform, type RemoteOptions, remoteCommand } from '../remote.js'
import { withSteps } from '../steps.js'

/** `handover scale`: more workers, or less. */
export function scaleCommand(): Command {
  return remoteCommand('scale', 'Change how many workers there are; those that go finish what they have.')
    .argument('<n>', `how many, 1 to ${WORKERS_MAX}, or "max" for one per core`, workerCount)
    .option('--group <name>', 'of this group')
    .action(async (workers: number, options: RemoteOptions & { group?: string }) => {
      const { group } = options
      process.exitCode = await perform(options, async (client) => {
        const order = { workers, ...(group === undefined ? {} : { group }) }
        const said = (): string =>
          `${workers} worker${workers === 1 ? '' : 's'}${group ? ` of ${group}` : ''} from now on`
        await withSteps(client, options, { command: 'scale', order, said })
        return 0
      })
    })
}
