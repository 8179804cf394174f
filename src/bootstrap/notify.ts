/** What a service tells its manager: systemd's notifications, its descriptor store and its watchdog, without its library. */
import { shown, wholeMilliseconds, wholeNumber } from '../arguments.js'
import { HandoverError } from '../errors.js'
import { DESCRIPTORS_PER_MESSAGE_MAX, SUN_PATH_BYTES, TIME_MAX } from '../limits.js'
import { onAbort, reasonOf } from '../sendmsg/abort.js'
import { readable, type WaitOptions } from '../sendmsg/readiness.js'
import { recvmsg } from '../sendmsg/receive.js'
import type { DescriptorLike } from '../sendmsg/socket-argument.js'
import { socketpair } from '../sendmsg/sockets.js'
import { malformed, wholeIn } from './environment.js'
import { encodeFields, type NotifyFields, statusLine, storeName } from './notify-fields.js'
import { NotifySocket } from './notify-socket.js'

/** All that a manager sets for notifications. */
export const NOTIFY_VARIABLES = ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID'] as const

/** Milliseconds that a timer of Node's counts at most. */
const PID_MAX = 0x7fffffff

export interface NotifierOptions {
  /** Removes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, so that programs started from here do not notify. Default false. */
  unset?: boolean
}

export interface StoreOptions {
  /** Whether the manager drops the descriptors by itself at their hang-up or error (FDPOLL). Default true. */
  poll?: boolean
}

/**
 * The way to the service manager, made by {@link notifier}. Each call is one datagram, sent before the call returns
 * unless the manager's queue is full; then it waits, in order, and keeps the process alive. Every promise is of whether it
 * was sent: false without a manager. That the manager took it, nothing tells; {@link barrier} tells that it was read.
 *
 * Rejected with TypeError or RangeError for wrong arguments, manager or not, and with SyscallError, whose `address` is
 * the path: ENOENT, ECONNREFUSED, EACCES, EPROTOTYPE, EMFILE, ENFILE, ENOBUFS, ENOMEM; with descriptors also EBADF,
 * ETOOMANYREFS. With ERR_HANDOVER_OUTBOX_FULL when 256 wait already.
 * @see sd_notify(3)
 */
export class Notifier {
  /** Whether there is a manager to tell. */
  readonly supervised: boolean
  /** Milliseconds in which the manager expects a sign of life from this process; 0 when it expects none. */
  readonly watchdogInterval: number
  readonly #socket: NotifySocket | null

  constructor(socket: NotifySocket | null, watchdogInterval: number) {
    this.supervised = socket !== null
    this.watchdogInterval = watchdogInterval
    this.#socket = socket
  }

  /** Start-up, or a reload, is finished: READY=1. @param status  one line for people, as in {@link status} */
  async ready(status?: string): Promise<boolean> {
    return this.notify({ READY: 1, ...statusOf(status) })
  }

  /** The configuration is being read again: RELOADING=1 and the time; {@link ready} ends it. */
  async reloading(status?: string): Promise<boolean> {
    const now = process.hrtime.bigint() / 1000n // CLOCK_MONOTONIC
    return this.notify({ RELOADING: 1, MONOTONIC_USEC: String(now), ...statusOf(status) })
  }

  /** The service is ending: STOPPING=1. */
  async stopping(status?: string): Promise<boolean> {
    return this.notify({ STOPPING: 1, ...statusOf(status) })
  }

  /** One line for people, shown by `systemctl status`. @param text  line breaks and control characters become spaces */
  async status(text: string): Promise<boolean> {
    return this.notify({ STATUS: statusLine(text) })
  }

  /** A sign of life: WATCHDOG=1. {@link startWatchdog} gives them regularly. */
  async watchdog(): Promise<boolean> {
    return this.notify({ WATCHDOG: 1 })
  }

  /** Another process is the service's main one from now on: MAINPID. */
  async mainPid(pid: number): Promise<boolean> {
    return this.notify({ MAINPID: wholeNumber('pid', pid, 1, PID_MAX) })
  }

  /** Start-up, running or stopping takes so much longer, from now on. @param milliseconds  whole, from 1 */
  async extendTimeout(milliseconds: number): Promise<boolean> {
    wholeNumber('milliseconds', milliseconds, 1, Number.MAX_SAFE_INTEGER / 1000)
    return this.notify({ EXTEND_TIMEOUT_USEC: milliseconds * 1000 })
  }

  /**
   * Sends any fields, one line each, at most 4096 bytes.
   * @param fields       values are text without line breaks, or whole numbers
   * @param descriptors  0 … 253 of them; borrowed until the call returns. The manager closes what no field asks to keep
   * @see sd_notify(3), sd_pid_notify_with_fds(3)
   */
  async notify(fields: NotifyFields, descriptors: readonly DescriptorLike[] = []): Promise<boolean> {
    const bytes = encodeFields(fields)
    checkDescriptors(descriptors, 0)
    await this.#socket?.send(bytes, descriptors)
    return this.supervised
  }

  /**
   * Gives copies of descriptors to the manager to keep: the next process of this service finds them by `activation()`,
   * under the name. Borrows them until the call returns. A manager that refuses (`FileDescriptorStoreMax=` is 0 or
   * reached, `NotifyAccess=` does not allow it) says nothing: only the next start shows what was kept.
   * @param name         1 … 255 printable ASCII characters without ':'
   * @param descriptors  1 … 253 descriptors, all under the one name
   * @see sd_pid_notify_with_fds(3), systemd.service(5) on FileDescriptorStoreMax=
   */
  async store(name: string, descriptors: readonly DescriptorLike[], options: StoreOptions = {}): Promise<boolean> {
    const FDNAME = storeName(name)
    checkDescriptors(descriptors, 1)
    return this.notify({ FDSTORE: 1, FDNAME, ...(options.poll === false ? { FDPOLL: 0 } : {}) }, descriptors)
  }

  /** Lets the manager close all descriptors that it keeps under a name: FDSTOREREMOVE=1. */
  async removeStored(name: string): Promise<boolean> {
    return this.notify({ FDSTOREREMOVE: 1, FDNAME: storeName(name) })
  }

  /**
   * Waits until the manager has read all that was sent before: BARRIER=1. Keeps the process alive.
   * @param timeout  milliseconds, 1 … 2147483647
   * @throws {HandoverError} ERR_HANDOVER_TIMED_OUT; what was sent before is still on its way
   * @throws {unknown} the reason of the signal
   * @see sd_notify_barrier(3)
   */
  async barrier(timeout: number, { signal }: WaitOptions = {}): Promise<boolean> {
    wholeMilliseconds('timeout', timeout, 1)
    if (signal?.aborted) throw reasonOf(signal)
    if (this.#socket === null) return false
    const [ours, theirs] = socketpair()
    const limit = new AbortController()
    const timer = setTimeout(() => {
      const message = `the service manager has not read its notifications within ${timeout} ms`
      limit.abort(new HandoverError('ERR_HANDOVER_TIMED_OUT', message))
    }, timeout)
    const forget = signal === undefined ? undefined : onAbort(signal, (reason) => limit.abort(reason))
    try {
      const sent = this.#socket.send(encodeFields({ BARRIER: 1 }), [theirs], limit.signal)
      theirs.close() // the manager's copy alone is left, and it sends nothing: what there is to read is the end
      await sent
      do await readable(ours, { signal: limit.signal })
      while (recvmsg(ours, 1) === null)
      return true
    } finally {
      forget?.()
      clearTimeout(timer)
      ours.close()
    }
  }

  /**
   * Gives signs of life from this thread's event loop, at once and at half of {@link watchdogInterval}: a loop that is
   * stuck gives none, and the manager acts. Does nothing where none are expected. Keeps no process alive. A failure is a
   * warning (HANDOVER_WATCHDOG), and the next sign is tried in its time.
   * @returns what ends them
   * @see sd_watchdog_enabled(3), systemd.service(5) on WatchdogSec=
   */
  startWatchdog(): () => void {
    if (this.watchdogInterval === 0) return () => {}
    let underWay = false
    const ping = (): void => {
      if (underWay) return // a full queue gets one, not many
      underWay = true
      this.watchdog()
        .catch((error: Error) => {
          const text = `no sign of life to the service manager: ${error.message}`
          process.emitWarning(text, { type: 'HandoverWarning', code: 'HANDOVER_WATCHDOG' })
        })
        .finally(() => {
          underWay = false
        })
    }
    ping()
    const period = Math.max(1, Math.min(TIME_MAX, Math.floor(this.watchdogInterval / 2)))
    const timer = setInterval(ping, period).unref()
    return () => clearInterval(timer)
  }
}

/**
 * The way to the service manager that started this process. Without one (NOTIFY_SOCKET is not set) it is there all the
 * same: `supervised` is false, and every call does nothing.
 * @param environment  where the variables are. Default: that of the process
 * @throws {HandoverError} ERR_HANDOVER_ACTIVATION: NOTIFY_SOCKET is neither a path nor an abstract name (`@name`), as for a
 *   manager outside a virtual machine (`vsock:`); WATCHDOG_USEC or WATCHDOG_PID is no number
 * @see sd_notify(3), sd_watchdog_enabled(3)
 */
export function notifier(environment: NodeJS.ProcessEnv = process.env, options: NotifierOptions = {}): Notifier {
  const { NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID } = environment
  if (options.unset === true) {
    for (const name of NOTIFY_VARIABLES) delete environment[name]
  }
  if (NOTIFY_SOCKET === undefined || NOTIFY_SOCKET === '') return new Notifier(null, 0)
  const socket = new NotifySocket(pathIn(NOTIFY_SOCKET))
  const forUs = WATCHDOG_PID === undefined || wholeIn('WATCHDOG_PID', WATCHDOG_PID, 1) === process.pid
  const microseconds = WATCHDOG_USEC === undefined ? 0 : wholeIn('WATCHDOG_USEC', WATCHDOG_USEC, 1)
  return new Notifier(socket, forUs ? microseconds / 1000 : 0)
}

function pathIn(value: string): string {
  if (/^vsock(-\w+)?:/.test(value))
    throw malformed('NOTIFY_SOCKET', value, 'is a VSOCK address: only UNIX sockets are reached')
  if (!/^[/@]./.test(value))
    throw malformed('NOTIFY_SOCKET', value, 'is neither an absolute path nor an @abstract name')
  if (Buffer.byteLength(value) > SUN_PATH_BYTES) {
    throw malformed('NOTIFY_SOCKET', value, `has more than the ${SUN_PATH_BYTES} bytes of a socket's path`)
  }
  return value.replace(/^@/, '\0')
}

const statusOf = (status: string | undefined): NotifyFields =>
  status === undefined ? {} : { STATUS: statusLine(status) }

function checkDescriptors(descriptors: readonly DescriptorLike[], least: number): void {
  if (!Array.isArray(descriptors)) {
    throw new TypeError(`descriptors: an array of descriptors, not ${shown(descriptors)}`)
  }
  const { length } = descriptors
  if (length >= least && length <= DESCRIPTORS_PER_MESSAGE_MAX) return
  throw new RangeError(`descriptors: ${least} to ${DESCRIPTORS_PER_MESSAGE_MAX} of them, not ${length}`)
}
