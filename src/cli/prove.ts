import { mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CommandDriver } from '../prove/command-driver.js'
import { type Driver, DriverError } from '../prove/driver.js'
import { ForeignDriver, type ForeignOptions } from '../prove/foreign-driver.js'
import { OWN_SCRIPT, type PresetName, presetOf } from '../prove/presets.js'
import { prove, type Report } from '../prove/prove.js'
import { tableOf } from '../prove/table.js'
import { ExitCode } from './exit-codes.js'
import { findScript, UsageError } from './options.js'

/** `handover prove` as it was typed. */
export interface ProveCommandOptions {
  reloads: number
  kills: number
  upgrades: number
  clients: number
  rate?: number
  seconds: number
  timeout: number
  workers: number
  mode?: string
  path: string
  preset?: PresetName
  command?: string
  url?: string
  reloadCommand?: string
  workersCommand?: string
  json: boolean
}

/** Requests per second, unless said otherwise: a client's, and at most. */
const RATE_OF_ONE = 10
const RATE_MAX = 2_000

/** Proves, and prints the account. @returns the exit code */
export async function proveServers(
  script: string | undefined,
  args: readonly string[],
  options: ProveCommandOptions,
): Promise<number> {
  const { reloads, kills, upgrades, clients, timeout, json } = options
  const home = mkdtempSync(join(tmpdir(), 'handover-prove-'))
  const tidy = (): void => rmSync(home, { recursive: true, force: true })
  const driver = await driverOf(script, args, options, home).catch((error: unknown) => {
    tidy()
    throw error
  })
  const watch = endOnSignal(() => driver.stop().finally(tidy))
  const rate = options.rate ?? Math.min(RATE_MAX, clients * RATE_OF_ONE)
  const duration = options.seconds * 1000
  const path = pathOf(options)
  try {
    const tell = (line: string): void => void process.stderr.write(`${line}\n`)
    const settled = { reloads, kills, upgrades, clients, rate, timeout, duration, path }
    const report = await prove(driver, settled, json ? undefined : tell)
    process.stdout.write(`${json ? JSON.stringify(report) : tableOf(report)}\n`)
    return exitCode(report)
  } catch (error) {
    if (watch.interrupted !== null) return await watch.interrupted
    if (!(error instanceof DriverError)) throw error
    process.stderr.write(`handover ${error.message}\n`)
    return ExitCode.system
  } finally {
    watch.off()
    tidy()
  }
}

/** Nothing that was asked may be left out of the account; what could not be sent proves nothing either way. */
function exitCode({ excluded, all }: Report): number {
  if (excluded > all.counts.unsent) return ExitCode.failed
  return all.counts.unsent > 0 ? ExitCode.system : ExitCode.ok
}

async function driverOf(
  script: string | undefined,
  args: readonly string[],
  options: ProveCommandOptions,
  home: string,
): Promise<Driver> {
  const { workers, mode, preset, command, url } = options
  if (command !== undefined && (script !== undefined || preset !== undefined)) {
    throw new UsageError('--command says what runs: leave out the script and --preset')
  }
  if (command === undefined && preset === undefined && url !== undefined) {
    throw new UsageError('--url goes with --command or --preset: where a script listens is known')
  }
  if (mode !== undefined && (command ?? preset) !== undefined) {
    throw new UsageError('--mode is for scripts that handover runs')
  }
  const port = process.env.PORT ?? String(await freePort())
  const own = { script: script === undefined ? OWN_SCRIPT : findScript(script, process.cwd()), args, workers }
  if (command === undefined && preset === undefined) {
    const run = { ...own, mode, env: { ...process.env, PORT: port } }
    return new CommandDriver(run, join(home, 'control.sock'))
  }
  const known = preset === undefined ? { command: command as string, reloadCommand: null } : presetOf(preset, own)
  const foreign: ForeignOptions = {
    command: known.command,
    reloadCommand: options.reloadCommand ?? known.reloadCommand,
    workersCommand: options.workersCommand ?? null,
    url: url === undefined ? `http://127.0.0.1:${port}` : originOf(url),
    // A PM2 of its own, so that one that runs already is neither seen nor reloaded.
    env: { ...process.env, PORT: port, PM2_HOME: home },
  }
  return new ForeignDriver(foreign)
}

function originOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url?.protocol !== 'http:') throw new UsageError(`--url takes an address that begins with http://, not "${text}"`)
  return url.origin
}

/** `--url` may have a path, too. */
function pathOf({ url, path }: ProveCommandOptions): string {
  if (!path.startsWith('/')) throw new UsageError(`--path begins with a slash, not like "${path}"`)
  if (url === undefined || path !== '/') return path
  const { pathname, search } = new URL(url)
  return pathname + search
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo
      server.close(() => resolve(port))
    })
  })
}

/** Ctrl-C leaves nothing behind. `interrupted` is then a promise that stays open, as the process ends by itself. */
function endOnSignal(end: () => Promise<void>): { interrupted: Promise<never> | null; off(): void } {
  const watch = {
    interrupted: null as Promise<never> | null,
    off: (): void => void process.off('SIGINT', stop).off('SIGTERM', stop),
  }
  const stop = (): void => {
    watch.interrupted ??= end().then(() => process.exit(ExitCode.interrupted))
  }
  process.on('SIGINT', stop).on('SIGTERM', stop)
  return watch
}
