import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Values } from '../config/schema.js'
import { UsageError } from '../config/usage-error.js'
import { type PolicyName, policyNames } from '../dispatch/policy.js'
import { WATCH_DELAY } from '../limits.js'
import type { DistributionMode } from '../supervisor/ports/distribution-options.js'
import { address, whole, workerCount } from './parsers.js'

/** Options that say how a script is run; what was not typed is not there. */
export interface Flags {
  config?: string
  workers?: number
  policy?: string
  handshake?: string
  maxConnections?: number
  maxTotal?: number
  backlog?: number
  drainTimeout?: number
  threads?: boolean
  distribution?: DistributionMode
  orphans?: 'end' | 'wait'
  preload?: boolean
  env?: Record<string, string>
  cwd?: string
  nodeOption?: string[]
  watch?: boolean
  watchPath?: string[]
  logDir?: string
  name?: string
  /** False: none. */
  control?: string | false
  admin?: { host: string; port: number }
  agentCheck?: { host: string; port: number }
}

/** Adds the options that `run` and `check` have in common. */
export function withFlags(command: Command): Command {
  return command
    .argument('[script]', 'the server to run; left out, the one that the configuration names')
    .argument('[args...]', 'its arguments')
    .option('--config <file>', 'the configuration; left out, handover.config.ts, js, mjs, cjs or json of this folder')
    .addOption(
      new Option('-w, --workers <n>', 'how many workers, or "max" for one per core')
        .argParser(workerCount)
        .default(undefined, '1; with groups those alone'),
    )
    .addOption(
      new Option('--policy <name|module>', `${policyNames.join(', ')}, or a module with your own`).default(
        undefined,
        'least-connections',
      ),
    )
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
        .default(undefined, '30'),
    )
    .addOption(
      new Option('--distribution <mode>', 'who accepts: the master, or workers by themselves')
        .choices(['dispatch', 'share', 'reuseport'])
        .default(undefined, 'dispatch'),
    )
    .addOption(
      new Option('--orphans <what>', 'what workers do when this process is killed: finish, or wait for the next one')
        .choices(['end', 'wait'])
        .default(undefined, 'end'),
    )
    .option('--threads', 'run workers as threads instead of processes')
    .option('--no-preload', 'leave `listen` alone: the script calls serve() of this package')
    .addOption(
      new Option('--env <KEY=VALUE>', 'a variable of the workers’ environment; again for more').argParser(variable),
    )
    .option('--cwd <folder>', 'where workers run; left out, here')
    .addOption(
      new Option('--node-option <option>', 'an option of node for the workers; again for more').argParser(more),
    )
    .option('--watch', 'reload when a file changes, for development')
    .addOption(
      new Option('--watch-path <path>', 'watch this instead of where workers run; again for more').argParser(more),
    )
    .option('--log-dir <folder>', 'a log file for each worker; SIGUSR1 opens them anew')
    .option('--name <name>', 'what other commands call it (default: after the script)')
    .option('--control <path>', 'where its control socket is')
    .option('--no-control', 'no control socket: other commands do not reach it')
    .addOption(
      new Option(
        '--admin <[host:]port>',
        'metrics, probes and a page; its token is HANDOVER_ADMIN_TOKEN, or made',
      ).argParser(address),
    )
    .addOption(new Option('--agent-check <[host:]port>', 'tell HAProxy how much load to give').argParser(address))
    .passThroughOptions()
}

/** What options say, as a configuration says it. @throws {UsageError} no such policy */
export function valuesOf(script: string | undefined, args: readonly string[], flags: Flags): Values {
  const { policy, drainTimeout, nodeOption, watch, watchPath, logDir, preload } = flags
  if (policy !== undefined && !policyNames.includes(policy as PolicyName) && !/[./]/.test(policy)) {
    const known = policyNames.join(' or ')
    throw new UsageError(`--policy takes ${known}, or the path of a module, not "${policy}"`)
  }
  const same = [
    'workers',
    'policy',
    'handshake',
    'maxConnections',
    'maxTotal',
    'backlog',
    'threads',
    'distribution',
    'orphans',
    'env',
    'cwd',
    'name',
    'control',
    'admin',
    'agentCheck',
  ] as const
  return {
    ...Object.fromEntries(same.filter((key) => flags[key] !== undefined).map((key) => [key, flags[key]])),
    ...(script === undefined ? {} : { script }),
    ...(args.length === 0 ? {} : { args }),
    ...(preload === false ? { preload } : {}),
    ...(drainTimeout === undefined ? {} : { drainTimeout: drainTimeout * 1_000 }),
    ...(nodeOption === undefined ? {} : { nodeOptions: nodeOption }),
    ...(logDir === undefined ? {} : { logs: { folder: logDir } }),
    ...(watchPath !== undefined ? { watch: { paths: watchPath, delay: WATCH_DELAY } } : watch ? { watch: {} } : {}),
  }
}

function more(text: string, before: string[] | undefined): string[] {
  return [...(before ?? []), text]
}

function variable(text: string, before: Record<string, string> | undefined): Record<string, string> {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('It takes a name and a value: KEY=VALUE.')
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) }
}
