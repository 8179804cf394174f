import { inspect } from 'node:util'
import { shown, wholeNumber } from '../arguments.js'
import { errnoOf, SyscallError } from '../errors.js'
import { DESCRIPTORS_PER_MESSAGE_MAX } from '../limits.js'
import * as native from '../syscalls/descriptor.js'
import * as closedWithThread from '../syscalls/thread-end.js'
import {
  appendDescriptors,
  type ControlMessage,
  carriesDescriptors,
  controlMessageOf,
  iterableOf,
} from './ancillary.js'
import { rights } from './codecs-socket.js'
import { forget } from './readiness.js'
import { type DescriptorLike, descriptorOf } from './socket-argument.js'

/** Descriptors on their way to one native call. */
let closing = new Int32Array(DESCRIPTORS_PER_MESSAGE_MAX)

/** What is told of a descriptor that nobody can close any more. */
interface Trace {
  fd: number
  stack: string | undefined
}

const leaks = new FinalizationRegistry<Trace>(({ fd, stack }) => {
  process.emitWarning(`descriptor ${fd} was never closed: its Descriptor is gone, and it stays open`, {
    type: 'DescriptorLeakWarning',
    code: 'HANDOVER_DESCRIPTOR_LEAK',
    detail: stack ?? 'Set Descriptor.traceLeaks = true to see where it was made.',
  })
})

/** Where a descriptor was made. A program's own formatter of stacks may throw: that is no reason to lose it. */
function stackHere(): string | undefined {
  try {
    const here = new Error('made here')
    Error.captureStackTrace(here, Descriptor)
    return here.stack
  } catch {
    return undefined
  }
}

/**
 * Owns one descriptor: closes it once, by `close()` or at the end of a `using` block. One that is forgotten while open
 * is reported with a warning (HANDOVER_DESCRIPTOR_LEAK) and not closed, as its number may be in use elsewhere by then.
 * What a worker thread owns when it ends is closed, as a process's descriptors are.
 */
export class Descriptor {
  /** Whether warnings of leaks say where the descriptor was made. Costs a stack trace each. Default false. */
  static traceLeaks = false

  #fd: number

  /**
   * Takes a descriptor: nobody else closes it from now on.
   * @throws {TypeError | RangeError} it is no number from 0
   */
  constructor(fd: number) {
    this.#fd = wholeNumber('fd', fd, 0, 0x7fffffff)
    forget(fd) // whatever had this number before is closed
    closedWithThread.add(fd)
    leaks.register(this, { fd, stack: Descriptor.traceLeaks ? stackHere() : undefined }, this)
  }

  /** The number, borrowed; -1 once it is closed or released. */
  get fd(): number {
    return this.#fd
  }

  /**
   * Gives the number to the caller, who closes it from now on; who waits for it gets ECANCELED.
   * @throws {SyscallError} EBADF: closed or released already
   */
  release(): number {
    const fd = this.#fd
    if (fd < 0) throw new SyscallError(errnoOf('EBADF'), 'release')
    this.#fd = -1
    forget(fd)
    closedWithThread.remove(fd)
    leaks.unregister(this)
    return fd
  }

  /**
   * Closes it; who waits for it gets ECANCELED. Closing twice does nothing.
   * @throws {SyscallError} EBADF: somebody else has closed the number
   * @see close(2)
   */
  close(): void {
    if (this.#fd >= 0) close(this.release())
  }

  /** What `console.log` shows. */
  [inspect.custom](): string {
    return `Descriptor { fd: ${this.#fd} }`
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

/**
 * Closes a descriptor. Takes it; who waits for it gets ECANCELED.
 * @param descriptor  a number, or a {@link Descriptor}; other objects close what they own by themselves
 * @throws {TypeError | RangeError} a wrong argument
 * @throws {SyscallError} EBADF: it was not open, which is a bug of the caller
 * @see close(2)
 */
export function close(descriptor: number | Descriptor): void {
  if (descriptor instanceof Descriptor) return descriptor.close()
  if (typeof descriptor !== 'number') {
    throw new TypeError(`descriptor: a descriptor number or a Descriptor, not ${shown(descriptor)}`)
  }
  const fd = descriptorOf('descriptor', descriptor, 'close')
  forget(fd)
  native.close(fd, close)
}

/**
 * Duplicates a descriptor, close-on-exec. Borrows the first, gives the second.
 * @throws {TypeError | RangeError} a wrong argument
 * @throws {SyscallError} EBADF, EMFILE
 * @see fcntl(2), F_DUPFD_CLOEXEC
 */
export function dup(descriptor: DescriptorLike): Descriptor {
  return new Descriptor(native.dup(descriptorOf('descriptor', descriptor, 'fcntl'), dup))
}

/**
 * The descriptors of received control messages (SCM_RIGHTS), each with an owner. Takes the numbers: use them no more. A
 * pidfd (SCM_PIDFD) is left where it is.
 * @see unix(7)
 */
export function takeDescriptors(ancillary: Iterable<ControlMessage>): Descriptor[] {
  return rights.from(ancillary).map((fd) => new Descriptor(fd))
}

/**
 * Closes every descriptor among received control messages (SCM_RIGHTS, SCM_PIDFD): for a receiver that does not want
 * them. Takes them.
 * @returns how many there were
 * @throws {TypeError | RangeError} something is no control message; nothing is closed then
 * @throws {SyscallError} EBADF: one was closed already; the others are closed
 */
export function closeDescriptors(ancillary: Iterable<ControlMessage>): number {
  const open: number[] = []
  let index = 0
  for (const message of iterableOf(ancillary)) {
    const [level, type, data] = controlMessageOf(message, index++)
    if (carriesDescriptors(level, type)) appendDescriptors(data, open)
  }
  if (open.length > closing.length) closing = new Int32Array(open.length)
  for (let i = 0; i < open.length; i++) closing[i] = open[i] as number
  if (open.length > 0) native.closeMany(closing, 0, open.length, closeDescriptors)
  return open.length
}
