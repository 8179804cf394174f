import { type Command, InvalidArgumentError } from 'commander'
import { WORKERS_MAX } from '../../limits.js'
import { findFolder, findScript } from '../options.js'
import { environmentForWorkers } from '../own-variables.js'
import { seconds, workerCount } from '../parsers.js'
import { perform, type RemoteOptions, remoteCommand } from '../remote.js'
import { withSteps } from '../steps.js'

interface Options extends RemoteOptions {
  workers?: number
  rolling?: boolean
  supersede?: boolean
  healthWindow?: number
  timeout?: number
  drainTimeout?: number
  script?: string
  cwd?: string
  env: Record<string, string>
  updateEnv: boolean
  wait: boolean
}

const EXAMPLES = `
Examples:
  $ handover reload                              the same script, read anew
  $ handover reload --workers 8 --env LEVEL=2    with more workers, and a variable changed
  $ handover reload --script /srv/app-2/app.js   another release
  $ handover reload --rolling --timeout 20       one worker at a time, each ready within 20 s

Exit codes: 0 the new workers serve and the old ones are gone, 1 undone (the old ones serve on), 3 no supervisor runs,
100 bad usage, 111 it cannot be reached.`

/** `handover reload`: a new generation of workers takes over, and no connection is refused. */
export function reloadCommand(): Command {
  return remoteCommand('reload', 'Replace all workers by new ones; no connection is refused or lost.')
    .option('-w, --workers <n>', `how many workers from now on, 1 to ${WORKERS_MAX}, or "max"`, workerCount)
    .option('--rolling', 'one worker at a time, which takes less memory')
    .option('--supersede', 'in place of a reload that is under way; default: after it')
    .option('--health-window <seconds>', 'time in which the new workers must not fail', seconds(0, 86_400))
    .option('--timeout <seconds>', 'time in which the new workers must be ready', seconds(1, 86_400))
    .option('--drain-timeout <seconds>', 'time that the old ones have for open connections', seconds(0, 86_400))
    .option('--script <path>', 'another script')
    .option('--cwd <folder>', 'another working directory')
    .option('--env <name=value>', 'change a variable of the workers; may be given again', variable, {})
    .option('--update-env', 'give workers the whole environment of this command', false)
    .option('--no-wait', 'return when it has begun')
    .addHelpText('after', EXAMPLES)
    .action(async (options: Options) => {
      process.exitCode = await perform(options, async (client) => {
        const said = ({ generation }: { generation?: number }): string =>
          generation === undefined ? 'the reload is under way' : `generation ${generation} serves`
        await withSteps(client, options, { command: 'reload', order: orderOf(options), said })
        return 0
      })
    })
}

function orderOf(options: Options): object {
  const { workers, rolling, supersede, healthWindow, timeout, drainTimeout, script, cwd, env, updateEnv } = options
  const order = {
    workers,
    rolling,
    supersede,
    healthWindow,
    milliseconds: timeout,
    drainTimeout,
    script: script === undefined ? undefined : findScript(script, process.cwd()),
    cwd: cwd === undefined ? undefined : findFolder(cwd, process.cwd()),
    env: Object.keys(env).length > 0 ? env : undefined,
    environment: updateEnv ? environmentForWorkers(process.env) : undefined,
    wait: options.wait,
  }
  return Object.fromEntries(Object.entries(order).filter(([, value]) => value !== undefined))
}

function variable(text: string, before: Record<string, string>): Record<string, string> {
  const [, name, value] = /^([^=]+)=([\s\S]*)$/.exec(text) ?? []
  if (name === undefined || value === undefined) throw new InvalidArgumentError('It takes NAME=VALUE.')
  return { ...before, [name]: value }
}
