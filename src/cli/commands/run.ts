import { Command, Option } from 'commander'
import { policyNames } from '../../dispatch/policy.js'
import { whole, workerCount } from '../parsers.js'
import { type RunOptions, run } from '../run.js'

const EXAMPLES = `
Examples:
  $ handover run server.js                             one worker, restarted when it crashes
  $ handover run -w max server.js                      a worker per core
  $ handover run -w 4 --max-connections 500 server.js  clients wait when all four are full
  $ handover run --policy ./by-address.mjs server.js   your own function chooses the worker
  $ handover run server.js --port 3000                 what follows the script is the script's

Signals: SIGINT (Ctrl-C), SIGTERM and SIGHUP let workers finish and end with 0; a second ends at once with 130.
SIGUSR2 reloads. handover reload, status, scale, stop and others reach it by its name.
Exit codes: 0 stopped as asked, 1 workers fail, 100 bad usage, 111 the system refuses (a port is taken, say).`

/** `handover run`: serves a script until it is told to stop. */
export function runCommand(): Command {
  return new Command('run')
    .description('Serve an unmodified Node server with several workers.')
    .argument('<script>', 'the server to run')
    .argument('[args...]', 'its arguments')
    .addOption(
      new Option('-w, --workers <n>', 'how many workers, or "max" for one per core')
        .argParser(workerCount)
        .default(undefined, '1; with groups those alone'),
    )
    .option('--policy <name|module>', `${policyNames.join(', ')}, or a module with your own`, 'least-connections')
    .option('--handshake <module>', 'a module that looks at what clients first say, and routes by it')
    .addOption(
      new Option('--max-connections <n>', 'at most n connections per worker; clients wait when all are full').argParser(
        whole(1, 1e9),
      ),
    )
    .addOption(new Option('--max-total <n>', 'at most n connections over all workers').argParser(whole(1, 1e9)))
    .addOption(
      new Option('--backlog <n>', 'clients that may wait in the kernel, whatever the script asks for').argParser(
        whole(1, 65535),
      ),
    )
    .addOption(
      new Option('--drain-timeout <seconds>', 'time for open connections when stopping')
        .argParser(whole(0, 86_400))
        .default(30),
    )
    .option('--threads', 'run workers as threads instead of processes', false)
    .option('--no-preload', 'leave `listen` alone: the script calls serve() of this package')
    .option('--live', 'show a line per worker: open, total, connections per second', false)
    .option('--json', 'one JSON object a line', false)
    .option('--name <name>', 'what other commands call it (default: after the script)')
    .option('--control <path>', 'where its control socket is')
    .option('--no-control', 'no control socket: other commands do not reach it')
    .passThroughOptions()
    .addHelpText('after', EXAMPLES)
    .action(async (script: string, args: string[], options: RunOptions) => {
      process.exitCode = await run(script, args, options)
    })
}
