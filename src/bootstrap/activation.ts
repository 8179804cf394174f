/** Descriptors that a service manager passes to the program it starts: systemd's socket activation, without its library. */
import { fstatSync } from 'node:fs'
import { shown } from '../arguments.js'
import { Descriptor } from '../sendmsg/descriptor.js'
import { close, dup, setCloseOnExec } from '../syscalls/descriptor.js'
import { malformed, wholeIn } from './environment.js'

/** All that tells of passed descriptors. The last is of newer systemds, and LISTEN_PID says enough. */
export const ACTIVATION_VARIABLES = ['LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES', 'LISTEN_PIDFDID'] as const

/** The first passed descriptor; the others follow it without a gap. */
const FIRST = 3

/** What each is called where nobody says, by systemd too. */
const UNNAMED = 'unknown'

/** A descriptor that was passed. */
export interface PassedDescriptor {
  /** `FileDescriptorName=` of the socket unit, or FDNAME of what was stored; 'unknown' where nobody says. Not unique. */
  readonly name: string
  /** 0 for the first. */
  readonly index: number
  /** The activation's own until somebody takes or releases it. */
  readonly descriptor: Descriptor
}

/**
 * What was passed, made by {@link activation}. Owns every descriptor that nobody has taken: take them, or close it.
 * Iterating lends those that are left, in order; who releases one has taken it.
 */
export class Activation implements Iterable<PassedDescriptor> {
  /** How many were passed, whether or not they are taken. */
  readonly count: number
  /** The name of each, in order. */
  readonly names: readonly string[]
  #left: readonly PassedDescriptor[]

  /** Takes the descriptors. */
  constructor(passed: readonly PassedDescriptor[]) {
    this.count = passed.length
    this.names = passed.map(({ name }) => name)
    this.#left = passed
  }

  [Symbol.iterator](): Iterator<PassedDescriptor> {
    return this.#untaken()[Symbol.iterator]()
  }

  /**
   * Gives one descriptor to the caller, each once.
   * @param which  an index from 0, or a name: the first of that name that is left
   * @throws {TypeError} neither an index nor a name
   * @throws {RangeError} there is none, or none any more
   */
  take(which: number | string): Descriptor {
    if (typeof which !== 'number' && typeof which !== 'string') {
      throw new TypeError(`which: the index or the name of a descriptor, not ${shown(which)}`)
    }
    const left = this.#untaken()
    const found = left.find(({ index, name }) => which === index || which === name)
    if (found === undefined) {
      const there = left.map(({ index, name }) => `${index} (${name})`).join(', ')
      const wanted = left.length > 0 ? `one of ${there}` : `none, as all ${this.count} are taken`
      throw new RangeError(`which: ${wanted}; not ${shown(which)}`)
    }
    this.#left = left.filter((one) => one !== found)
    return found.descriptor
  }

  /**
   * Gives all descriptors of a name that are left, in order; none if there are none.
   * @throws {TypeError} no name
   */
  takeAll(name: string): Descriptor[] {
    if (typeof name !== 'string') throw new TypeError(`name: the name of descriptors, not ${shown(name)}`)
    const left = this.#untaken()
    this.#left = left.filter((one) => one.name !== name)
    return left.filter((one) => one.name === name).map(({ descriptor }) => descriptor)
  }

  /**
   * Closes what nobody has taken. A UNIX socket's path stays: it is the service manager's. Closing twice does nothing.
   * @throws {SyscallError} EBADF: somebody has closed the number of one; the others are closed
   */
  close(): void {
    const left = this.#untaken()
    this.#left = []
    const errors: unknown[] = []
    for (const { descriptor } of left) {
      try {
        descriptor.close()
      } catch (error) {
        errors.push(error)
      }
    }
    if (errors.length > 0) throw errors[0]
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #untaken(): readonly PassedDescriptor[] {
    return this.#left.filter(({ descriptor }) => descriptor.fd >= 0)
  }
}

/**
 * The descriptors that were passed to this process: listening ports of a socket unit, and what an earlier process put
 * into the descriptor store. Gives them. They can be taken once: LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES and
 * LISTEN_PIDFDID are removed, so that programs started from here do not take them for theirs, and a second call gives
 * null. All are close-on-exec, sockets are non-blocking as well; a file or a pipe keeps its mode, which it shares with
 * every copy elsewhere, and gets a new number. Call it once, in the main thread: threads have copies of the environment.
 * @param environment  where the variables are, and are removed from. Default: that of the process
 * @returns null when nothing was passed, or not to this process: LISTEN_FDS is missing or 0, LISTEN_PID is missing or
 *   another's
 * @throws {HandoverError} ERR_HANDOVER_ACTIVATION: a variable is malformed, names and descriptors are not as many, or a
 *   descriptor is not open; the variables are removed all the same, what is open stays as it is
 * @throws {SyscallError} EMFILE, ENFILE: no number for a file's copy; likewise
 * @see sd_listen_fds(3), sd_listen_fds_with_names(3), systemd.socket(5)
 */
export function activation(environment: NodeJS.ProcessEnv = process.env): Activation | null {
  const { LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES } = environment
  for (const name of ACTIVATION_VARIABLES) delete environment[name]
  if (LISTEN_FDS === undefined || LISTEN_PID === undefined) return null
  if (wholeIn('LISTEN_PID', LISTEN_PID, 1) !== process.pid) return null
  const count = wholeIn('LISTEN_FDS', LISTEN_FDS, 0)
  if (count === 0) return null
  const names = LISTEN_FDNAMES?.split(':')
  if (LISTEN_FDNAMES !== undefined && names?.length !== count) {
    throw malformed('LISTEN_FDNAMES', LISTEN_FDNAMES, `has ${names?.length} names for ${count} descriptors`)
  }
  const numbers = owned(socketsAmong(count))
  return new Activation(
    numbers.map((fd, index) => ({ name: names?.[index] ?? UNNAMED, index, descriptor: new Descriptor(fd) })),
  )
}

/** Whether each of the passed descriptors is a socket. @throws {HandoverError} one is not open */
function socketsAmong(count: number): boolean[] {
  const sockets: boolean[] = []
  for (let fd = FIRST; fd < FIRST + count; fd++) {
    try {
      sockets.push(fstatSync(fd).isSocket())
    } catch (cause) {
      throw malformed('LISTEN_FDS', String(count), `counts descriptor ${fd}, which is not open`, cause)
    }
  }
  return sockets
}

/** The number of each from now on, close-on-exec. Takes all, or none when it throws. */
function owned(sockets: readonly boolean[]): number[] {
  const copies = new Map<number, number>()
  try {
    for (const [index, isSocket] of sockets.entries()) if (!isSocket) copies.set(index, dup(FIRST + index))
  } catch (error) {
    for (const copy of copies.values()) close(copy)
    throw error
  }
  return sockets.map((isSocket, index) => {
    if (isSocket) setCloseOnExec(FIRST + index)
    else close(FIRST + index)
    return copies.get(index) ?? FIRST + index
  })
}
