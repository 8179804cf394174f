import { Command } from 'commander'
import { withFlags } from '../flags.js'
import type { RunOptions } from '../run.js'

const EXAMPLES = `
Examples:
  $ handover run server.js                             one worker, restarted when it crashes
  $ handover run -w max server.js                      a worker per core
  $ handover run -w 4 --max-connections 500 server.js  clients wait when all four are full
  $ handover run --policy ./by-address.mjs server.js   your own function chooses the worker
  $ handover run server.js --port 3000                 what follows the script is the script's
  $ handover run --watch server.js                     reloads when a file changes
  $ handover run                                       what handover.config.ts says

Signals: SIGINT (Ctrl-C), SIGTERM and SIGHUP let workers finish and end with 0; a second ends at once with 130.
SIGUSR2 reloads. handover reload, status, scale, stop and others reach it by its name.
Exit codes: 0 stopped as asked, 1 workers fail, 100 bad usage, 111 the system refuses (a port is taken, say).`

/** `handover run`: serves a script until it is told to stop. */
export function runCommand(): Command {
  return withFlags(new Command('run').description('Serve an unmodified Node server with several workers.'))
    .option('--live', 'show a line per worker: open, total, connections per second', false)
    .option('--json', 'one JSON object a line', false)
    .addHelpText('after', EXAMPLES)
    .action(async (script: string | undefined, args: string[], options: RunOptions) => {
      const { run } = await import('../run.js') // what only this command needs, the others do not load
      process.exitCode = await run(script, args, options)
    })
}
