import { Command } from 'commander'
import { list, listNames } from '../list.js'

/** `handover list`: which supervisors of this user run. */
export function listCommand(): Command {
  return new Command('list')
    .description('Show the supervisors of this user that run.')
    .option('--names', 'their names alone', false)
    .option('--json', 'one JSON object a line', false)
    .action(async ({ names, json }: { names: boolean; json: boolean }) => {
      await (names ? listNames() : list(json))
    })
}
