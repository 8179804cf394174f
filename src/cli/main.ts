#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { Command, Option } from 'commander'
import { policyNames } from '../dispatch/policy.js'
import { HandoverError, SyscallError } from '../errors.js'
import { coloursFor } from './colours.js'
import { ExitCode } from './exit-codes.js'
import { UsageError, whole, workerCount } from './options.js'
import { type RunOptions, run } from './run.js'

const pc = coloursFor(process.stderr)
const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
  version: string
}

const EXAMPLES = `
Examples:
  $ handover run server.js                             one worker, restarted when it crashes
  $ handover run -w max server.js                      a worker per core
  $ handover run -w 4 --max-connections 500 server.js  clients wait when all four are full
  $ handover run --policy ./by-address.mjs server.js   your own function chooses the worker
  $ handover run server.js --port 3000                 what follows the script is the script's

Signals: SIGINT (Ctrl-C), SIGTERM and SIGHUP let workers finish and end with 0; a second ends at once with 130.
Exit codes: 0 stopped as asked, 1 workers fail, 100 bad usage, 111 the system refuses (a port is taken, say).`

// `handover run --help | head` ends the pipe early: no reason for a stack trace.
process.stdout.on('error', () => {})

const program = new Command('handover')
  .description('Passes live connections and listening ports between processes.')
  .version(version)
  .showHelpAfterError(`Run \`handover run --help\` for options and examples.`)
  .enablePositionalOptions() // what follows the script is the script's
  .exitOverride()
  .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, `${pc.red('handover')} `)) })

program
  .command('run')
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
  .passThroughOptions()
  .addHelpText('after', EXAMPLES)
  .action(async (script: string, args: string[], options: RunOptions) => {
    process.exitCode = await run(script, args, options)
  })

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = report(error)
}

function report(error: unknown): number {
  const { code, exitCode } = error as { code?: string; exitCode?: number }
  if (code?.startsWith('commander.')) return exitCode === 0 ? ExitCode.ok : ExitCode.usage
  const known = error instanceof UsageError || error instanceof HandoverError || error instanceof SyscallError
  const text = known ? (error as Error).message : ((error as Error).stack ?? String(error))
  process.stderr.write(`${pc.red('handover')} ${text}\n`)
  return error instanceof UsageError || error instanceof RangeError ? ExitCode.usage : ExitCode.system
}
