/** Commands that speak to a supervisor which runs already. */
import { Command } from 'commander'
import { ControlClient, ControlFailure } from '../control/client.js'
import { controlFolders, socketsIn } from '../control/folder.js'
import { checkName } from '../control/names.js'
import { HandoverError } from '../errors.js'
import { coloursFor } from './colours.js'
import { ExitCode } from './exit-codes.js'
import { movedHint } from './moved-programs.js'
import { UsageError } from './options.js'
import { withName } from './printer.js'

/** Which supervisor, and how its answers are shown. */
export interface RemoteOptions {
  name?: string
  control?: string
  json: boolean
}

/** A command with the options that all of them have. */
export function remoteCommand(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .option('--name <name>', 'which supervisor; not needed where only one runs')
    .option('--control <path>', 'its control socket, if it is at a path of its own')
    .option('--json', 'one JSON object a line', false)
}

/** A supervisor that runs: its name, and a client that has reached it. */
export interface Running {
  name: string
  path: string
  client: ControlClient
}

/** Every supervisor of this user that answers, by the folders' order, then by name. Gives the clients. */
export async function running(): Promise<Running[]> {
  const sockets = socketsIn(controlFolders())
  const found = await Promise.all(
    sockets.map(async ({ name, path }) => {
      // What does not answer is dead, stuck, or another's: it can still be asked for by its name.
      const client = await ControlClient.connect(path).catch(() => null)
      return client === null ? [] : [{ name, path, client }]
    }),
  )
  return found.flat()
}

/** The supervisor that is meant. Gives the client. @throws {HandoverError} as `ControlClient.connect`; {UsageError} */
export async function reach({ name, control }: RemoteOptions): Promise<ControlClient> {
  if (control !== undefined) return at(control, name)
  if (name !== undefined) return named(name)
  const all = await running()
  const [only] = all
  if (all.length === 1 && only !== undefined) return only.client
  for (const { client } of all) client.close()
  if (only === undefined) throw notRunning('no supervisor of this user runs; `handover run` starts one')
  throw new UsageError(`several supervisors run: choose one by --name ${all.map(({ name }) => name).join(', ')}`)
}

/** @param name  what it is to be called, too; a path says nothing of that */
async function at(path: string, name: string | undefined): Promise<ControlClient> {
  const client = await ControlClient.connect(path)
  const { name: actual } = client.welcome
  if (name === undefined || name === actual) return client
  client.close()
  throw new UsageError(
    `--name ${name}: the supervisor at ${path} is "${actual}"; leave one of --name and --control out`,
  )
}

async function named(text: string): Promise<ControlClient> {
  let name: string
  try {
    name = checkName(text)
  } catch (error) {
    throw new UsageError((error as Error).message.replace(/^name: /, '--name: '))
  }
  for (const found of socketsIn(controlFolders())) {
    if (found.name !== name) continue
    try {
      return await ControlClient.connect(found.path)
    } catch (error) {
      if ((error as HandoverError).code !== 'ERR_HANDOVER_NOT_RUNNING') throw error
    }
  }
  throw notRunning(`no supervisor runs as "${name}"; \`handover list\` shows those that do`)
}

const notRunning = (message: string): HandoverError => new HandoverError('ERR_HANDOVER_NOT_RUNNING', message)

/** Does something with the supervisor that is meant. @returns the exit code; what fails is told in one line */
export async function perform(
  options: RemoteOptions,
  use: (client: ControlClient) => Promise<number>,
): Promise<number> {
  let client: ControlClient | null = null
  try {
    client = await reach(options)
    return await use(client)
  } catch (error) {
    return complain(error, options.json)
  } finally {
    client?.close()
  }
}

function exitCodeOf(error: unknown): number | null {
  if (error instanceof ControlFailure) return error.exit
  if (error instanceof UsageError) return ExitCode.usage
  if (!(error instanceof HandoverError)) return null
  if (error.code === 'ERR_HANDOVER_NOT_RUNNING') return ExitCode.notRunning
  return error.code === 'ERR_HANDOVER_PEER_GONE' ? ExitCode.failed : ExitCode.system
}

function complain(error: unknown, json: boolean): number {
  const exit = exitCodeOf(error)
  if (exit === null) throw error
  const { code, message, output = [] } = error as ControlFailure
  if (json) {
    print({ event: 'failed', code: code ?? 'USAGE', message, exit, ...(output.length > 0 ? { output } : {}) })
    return exit
  }
  const pc = coloursFor(process.stderr)
  process.stderr.write(`${withName(pc.red, message)}\n`)
  for (const line of output) process.stderr.write(`  ${line}\n`)
  const lacks = movedHint(output)
  if (lacks !== null) process.stderr.write(`${withName(pc.red, lacks)}\n`)
  return exit
}

/** One JSON object a line. */
export function print(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}

export function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** A first Ctrl-C ends the waiting, not what is waited for, and says so. */
export function untilInterrupted(what: string): () => void {
  const interrupted = (): void => {
    process.stderr.write(`handover ${what} goes on; \`handover status\` shows it\n`)
    process.exit(ExitCode.interrupted)
  }
  process.once('SIGINT', interrupted)
  return () => process.off('SIGINT', interrupted)
}
