import type { Command } from 'commander'
import { WORKERS_MAX } from '../../limits.js'
import { whole } from '../parsers.js'
import { perform, type RemoteOptions, remoteCommand } from '../remote.js'
import { withSteps } from '../steps.js'

/** `handover drain`: one worker is replaced, and finishes what it has. */
export function drainCommand(): Command {
  return remoteCommand('drain', 'Replace one worker: a successor first, then it finishes what it has and ends.')
    .argument('<worker>', 'its number', whole(1, WORKERS_MAX))
    .action(async (worker: number, options: RemoteOptions) => {
      process.exitCode = await perform(options, async (client) => {
        await withSteps(client, options, {
          command: 'drain',
          order: { worker },
          said: () => `worker ${worker} is a new one`,
        })
        return 0
      })
    })
}
