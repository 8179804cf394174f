import { Command, Option } from 'commander'
import { PRESETS } from '../../prove/presets.js'
import { whole, workerCount } from '../parsers.js'
import type { ProveCommandOptions } from '../prove.js'

const EXAMPLES = `
Examples:
  $ handover prove                                   a program of its own, which tells most
  $ handover prove server.js                         yours: its GET / is asked
  $ handover prove --reloads 100 --kills 0 --path /health server.js
  $ handover prove --preset cluster server.js        the same under node:cluster; pm2 likewise, if it is in PATH
  $ handover prove --command "./my-master" --url http://127.0.0.1:3000/ --reload-command 'kill -HUP $PID'

Exit codes: 0 every request is accounted for and no loss is excluded by the guarantees, 1 some are, 100 bad usage,
111 it could not be tried (it does not start or reload, no ports are left).`

/** `handover prove`: reloads, kills and upgrades under load, and an account of every request. */
export function proveCommand(): Command {
  return new Command('prove')
    .description('Account for every request through reloads, worker kills and upgrades under load.')
    .argument('[script]', 'the server to run; default: one of its own, which says who answers what')
    .argument('[args...]', 'its arguments')
    .addOption(number('--reloads <n>', 'reloads under load', 0, 10_000, 20))
    .addOption(number('--kills <n>', 'random workers killed by SIGKILL', 0, 10_000, 10))
    .addOption(number('--upgrades <n>', 'replacements of the supervisor itself', 0, 10_000, 0))
    .addOption(number('--clients <n>', 'clients, each with one request out at a time', 1, 20_000, 200))
    .addOption(
      number('--rate <n>', 'requests per second, of all clients together', 1, 1_000_000).default(
        undefined,
        '10 a client, at most 2000',
      ),
    )
    .addOption(number('--seconds <n>', 'load at least for so long; the rest is spread over it', 1, 86_400, 10))
    .addOption(number('--timeout <ms>', 'a request without an answer after that has hung', 100, 600_000, 10_000))
    .addOption(new Option('-w, --workers <n>', 'how many workers').argParser(workerCount).default(2))
    .addOption(
      new Option('--mode <mode>', 'how connections get to workers').choices(['dispatch', 'share', 'reuseport']),
    )
    .option('--path <path>', 'what is asked of a script that is not its own', '/')
    .addOption(new Option('--preset <master>', 'run the script under another master').choices([...PRESETS]))
    .option('--command <command>', 'run any command instead; it finds a free port as PORT')
    .option('--url <url>', 'where that answers', undefined)
    .option('--reload-command <command>', 'how it is reloaded; finds its process id as PID')
    .option(
      '--workers-command <command>',
      'writes process ids of its workers; default: its descendants without children',
    )
    .option('--json', 'the whole account as one JSON object', false)
    .passThroughOptions()
    .addHelpText('after', EXAMPLES)
    .action(async (script: string | undefined, args: string[], options: ProveCommandOptions) => {
      const { proveServers } = await import('../prove.js')
      process.exitCode = await proveServers(script, args, options)
    })
}

function number(flags: string, text: string, least: number, most: number, otherwise?: number): Option {
  return new Option(flags, text).argParser(whole(least, most)).default(otherwise)
}
