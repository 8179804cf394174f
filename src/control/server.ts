import { lstatSync } from 'node:fs'
import { resolve } from 'node:path'
import { registerBuiltinBootstraps } from '../bootstrap/builtin.js'
import { connect } from '../bootstrap/connect.js'
import { ChannelListener } from '../bootstrap/listen.js'
import { nameOf, UnixSource } from '../bootstrap/unix.js'
import type { Channel } from '../channel/channel.js'
import { HandoverError, SyscallError } from '../errors.js'
import { BACKLOG_DEFAULT, CONTROL_CLIENTS_MAX, CONTROL_REACH, SOCKET_PATH_MAX } from '../limits.js'
import type { Descriptor } from '../sendmsg/descriptor.js'
import type { ReloadOptions } from '../supervisor/options.js'
import { listen } from '../syscalls/listen.js'
import { ListeningPort } from '../transport/listening-port.js'
import { type CommandParts, type ControlCommand, commandsOf, type StopOrder } from './commands.js'
import type { Controllable } from './controllable.js'
import { unsupported } from './failure.js'
import { HandedOn } from './handed-on.js'
import { LineRing } from './line-ring.js'
import { checkName } from './names.js'
import { Rates } from './rates.js'
import { type MakeReload, type Progress, Reloads } from './reloads.js'
import { Session } from './session.js'
import { statusAnswer } from './status-answer.js'
import { handoverVersion } from './version.js'

registerBuiltinBootstraps()

export interface ControlOptions {
  name: string
  /** Where the socket is; whoever may write to its folder is trusted. */
  path: string
  supervisor: Controllable
  /** The last lines of workers, to be asked for. Default: none. */
  ring?: LineRing
  /** What is told of the program. */
  script?: string
  /** Makes reloads. Default: its `reload`. */
  reload?: MakeReload
  /** Ends the supervisor. Default: its `stop`, or `kill`. */
  stop?: (order: StopOrder) => Promise<void>
  /** More commands, by name; they may stand for those there are. */
  commands?: Readonly<Record<string, ControlCommand>>
  /** Replaces the supervisor's process; default: that is not supported. */
  upgrade?: (progress: Progress) => Promise<object>
  /** Milliseconds that workers of a supervisor that was killed have from now on; settles once this one serves. */
  orphanTime?: () => Promise<number>
  /** The socket as another process had it, which listens already. Given. */
  inherited?: Descriptor
  /** Somebody was not let in, and why. */
  onRefused?: (reason: string) => void
  /** A reload failed; whoever asked for it has been told. */
  onReloadFailed?: (error: Error) => void
}

/** Lets programs of the same user see and steer a supervisor, by a socket with a name. Borrows the supervisor. */
export class ControlServer {
  readonly path: string
  readonly name: string
  readonly #port: ListeningPort
  readonly #listener: ChannelListener
  readonly #sessions = new Set<Session>()
  readonly #handedOn: HandedOn
  readonly #reloads: Reloads
  readonly #rates: Rates
  readonly #commands: Record<string, ControlCommand>
  readonly #orphanTime: (() => Promise<number>) | null
  #closing: Promise<void> | null = null

  private constructor(port: ListeningPort, listener: ChannelListener, options: ControlOptions) {
    const { supervisor, name, script = null, ring = new LineRing() } = options
    this.name = name
    this.path = listener.address
    this.#port = port
    this.#listener = listener
    this.#handedOn = new HandedOn(supervisor)
    const make = options.reload ?? ((asked) => supervisor.reload(asked))
    this.#reloads = new Reloads(supervisor, this.#handedOn, make, options.onReloadFailed ?? (() => {}))
    this.#rates = new Rates(() => supervisor.status().workers)
    const since = Date.now()
    const stop = options.stop ?? (({ now, milliseconds }) => (now ? supervisor.kill() : supervisor.stop(milliseconds)))
    const parts: CommandParts = {
      supervisor,
      reloads: this.#reloads,
      handedOn: this.#handedOn,
      ring,
      stop,
      upgrade: options.upgrade ?? (() => unsupported('upgrade')),
      status: () => statusAnswer(supervisor.status(), this.#rates, { name, script, since }),
    }
    this.#orphanTime = options.orphanTime ?? null
    this.#commands = { ...commandsOf(parts), ...options.commands }
    listener.on('refused', (_peer, reason) => options.onRefused?.(reason))
    listener.on('failed', () => {}) // it said nothing, or nothing that is a channel
    listener.on('channel', (channel) => this.#serve(channel))
    listener.unref()
  }

  /**
   * Makes the socket, mode 0600, for this user and root.
   * @throws {HandoverError} ERR_HANDOVER_CONTROL: the name is taken, by whom; the path cannot be had, and what to do
   * @throws {TypeError | RangeError} the name, or a path that is too long
   */
  static async open(options: ControlOptions): Promise<ControlServer> {
    const uids = [process.geteuid?.() ?? -1, 0]
    const willing = ({ kinds }: { kinds: readonly string[] }): boolean | string =>
      kinds.length === 0 || 'a control socket takes words only'
    try {
      checkName(options.name)
      const path = checkPath(options.path)
      const port = portAt(path, options.inherited)
      return new ControlServer(port, new ChannelListener(new UnixSource(port), { admit: { uids }, willing }), options)
    } catch (error) {
      doWithout(options.inherited)
      if (error instanceof SyscallError) throw await whyNot(error, options)
      throw error
    }
  }

  /** The socket that listens, borrowed, for whoever goes on with it. */
  get descriptor(): number {
    return this.#port.fd
  }

  /** Lets nobody in, or goes on: who comes meanwhile waits for whoever takes over. */
  hold(held: boolean): void {
    this.#listener.hold(held)
  }

  /** A reload of this process's own; it waits for its turn among those of clients. */
  reload(options: ReloadOptions = {}): Promise<{ generation: number }> {
    return this.#reloads.reload(options, () => {})
  }

  /** Answers what was asked, and takes the socket away. Closing twice does nothing more. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#rates.close()
    await Promise.all([...this.#sessions].map((session) => session.close()))
    this.#listener.close()
    this.#reloads.close()
    this.#handedOn.close()
  }

  #serve(channel: Channel): void {
    if (this.#closing !== null || this.#sessions.size >= CONTROL_CLIENTS_MAX) return channel.close()
    const session = new Session(
      channel,
      this.#commands,
      {
        type: 'welcome',
        handover: handoverVersion,
        name: this.name,
        pid: process.pid,
        commands: Object.keys(this.#commands),
      },
      this.#orphanTime,
    )
    this.#sessions.add(session)
    void session.ended.then(() => this.#sessions.delete(session))
  }
}

/** Makes the socket, or goes on with the one that another process had. */
function portAt(path: string, inherited: Descriptor | undefined): ListeningPort {
  const opened = { path: resolve(path), mode: 0o600 }
  if (inherited !== undefined && nameOf(inherited.fd) === opened.path) {
    listen(inherited.fd, BACKLOG_DEFAULT) // from now on the kernel tells clients that they reach this process
    return ListeningPort.adopt(inherited, { path, opened })
  }
  doWithout(inherited) // it has another name now
  return ListeningPort.open(opened)
}

/**
 * Closes a control socket that another process had, and takes its path away if nobody listens there any more: else
 * clients would wait for answers that nobody gives. Takes it; one that is closed already is left.
 */
export function doWithout(inherited: Descriptor | undefined): void {
  if (inherited === undefined || inherited.fd < 0) return
  const path = nameOf(inherited.fd)
  ListeningPort.adopt(inherited, path === null ? {} : { path }).close()
}

/** @throws {RangeError} too long for a socket */
function checkPath(path: string): string {
  const whole = resolve(path)
  const length = Buffer.byteLength(whole)
  if (length <= SOCKET_PATH_MAX) return whole
  const limit = `a socket's path has at most ${SOCKET_PATH_MAX} bytes, ${whole} has ${length}`
  throw new RangeError(`${limit}: name a shorter one with --control <path>, or do without: --no-control`)
}

/** One line: who has it, or what is wrong, and what to do. */
async function whyNot(error: SyscallError, { name, path }: ControlOptions): Promise<HandoverError> {
  const why = error.code === 'EADDRINUSE' ? await taken(name, path) : `no control socket at ${path}: ${sentence(error)}`
  return new HandoverError('ERR_HANDOVER_CONTROL', `${why}, or do without: --no-control`, { cause: error })
}

async function taken(name: string, path: string): Promise<string> {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found !== undefined && !found.isSocket()) {
    const what = found.isDirectory() ? 'it is a folder' : 'a file that is no socket is there'
    return `no control socket at ${path}: ${what}; name another path with --control <path>`
  }
  try {
    const channel = await connect(`unix:${resolve(path)}`, { timeout: CONTROL_REACH })
    const pid = channel.peer?.pid
    channel.close()
    return `process ${pid} runs as "${name}" already (${path}): choose another --name`
  } catch {
    return `somebody listens at ${path} already: choose another --name or --control <path>`
  }
}

function sentence({ code }: SyscallError): string {
  switch (code) {
    case 'ENOENT':
      return 'there is no such folder; make it, or name another path with --control <path>'
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return `the folder is not writable for this user (${code}); name a path of yours with --control <path>`
    default:
      return `${code}; name another path with --control <path>`
  }
}
