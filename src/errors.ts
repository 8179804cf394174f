import { constants } from 'node:os'
import { getSystemErrorMap } from 'node:util'

/** What a loop does about an error: the word it switches on. */
export type Disposition = 'retry' | 'wait' | 'shed' | 'close' | 'bug'

type Row = { hint: string; disposition: Disposition }

/**
 * System errors that someone can do something about, by code, or by code and call where the call tells more ('path': the
 * address is one). Others keep their name or number and mean 'close'.
 */
const SYSTEM: Record<string, Row> = {
  EACCES: {
    hint: 'Ports below 1024 and foreign directories need rights: take a higher port or another path.',
    disposition: 'close',
  },
  'EACCES sendmsg': {
    hint: 'Broadcasting needs the option SO_BROADCAST; a UNIX path needs the right to write to it.',
    disposition: 'close',
  },
  'EACCES connect': {
    hint: 'A UNIX path needs the right to write to it; broadcasting needs SO_BROADCAST.',
    disposition: 'close',
  },
  EADDRINUSE: { hint: 'Another program holds this address: stop it or choose another port.', disposition: 'close' },
  'EADDRINUSE path': {
    hint: 'Another program has this name, or what is there is no socket that was left over: choose another.',
    disposition: 'close',
  },
  EADDRNOTAVAIL: { hint: 'No interface of this machine has this address: check the host.', disposition: 'close' },
  'EADDRNOTAVAIL connect': {
    hint: 'No local port is left, or the address is none to connect to.',
    disposition: 'shed',
  },
  EAFNOSUPPORT: { hint: 'Socket and address are of different families, or this system lacks one.', disposition: 'bug' },
  EAGAIN: { hint: 'Wait until the descriptor is ready and try again.', disposition: 'wait' },
  EALREADY: { hint: 'The socket is being connected already: wait until it is writable.', disposition: 'wait' },
  EBADF: { hint: 'The descriptor is not open in this process: look for an earlier close.', disposition: 'bug' },
  'EBADF sendmsg': {
    hint: 'The socket, or a descriptor to be sent, is not open in this process: look for an earlier close.',
    disposition: 'bug',
  },
  'EBADF pidfd_getfd': { hint: 'The other process has no such descriptor open.', disposition: 'close' },
  ECONNREFUSED: { hint: 'Nobody listens at this address.', disposition: 'close' },
  ECONNRESET: { hint: 'The peer is gone.', disposition: 'close' },
  ECANCELED: { hint: 'The supervisor is being stopped.', disposition: 'close' },
  'ECANCELED poll': { hint: 'The descriptor was closed while it was waited for.', disposition: 'close' },
  EDESTADDRREQ: {
    hint: 'Say where to listen: serve(server, { port }), or open ports with the option `listen` of the supervisor.',
    disposition: 'close',
  },
  'EDESTADDRREQ sendmsg': { hint: 'Give an address, or connect the socket first.', disposition: 'bug' },
  EHOSTUNREACH: { hint: 'No route leads to this host.', disposition: 'close' },
  EINPROGRESS: { hint: 'Wait until the socket is writable, then read SO_ERROR.', disposition: 'wait' },
  EINVAL: { hint: 'The kernel refuses the arguments of this call.', disposition: 'bug' },
  'EINVAL accept': { hint: 'The socket does not listen: call listen first.', disposition: 'bug' },
  'EINVAL recvmsg': { hint: 'The socket is not connected, or the flags do not fit it.', disposition: 'bug' },
  EISCONN: { hint: 'The socket is connected: leave the address out.', disposition: 'bug' },
  EMFILE: { hint: 'This process is at its descriptor limit: raise it with `ulimit -n`.', disposition: 'shed' },
  EMSGSIZE: { hint: 'The message is larger than this socket sends in one: make it smaller.', disposition: 'bug' },
  ENAMETOOLONG: { hint: 'Use a shorter socket path.', disposition: 'close' },
  ENETUNREACH: { hint: 'No route leads to this network.', disposition: 'close' },
  'ENETUNREACH sendmsg': {
    hint: 'No route leads to this network, or the local address asked for is none of this machine.',
    disposition: 'close',
  },
  ENFILE: { hint: 'The system is at its descriptor limit: raise fs.file-max.', disposition: 'shed' },
  ENOBUFS: { hint: 'The kernel is short of buffers: try again later.', disposition: 'shed' },
  'ENOBUFS sendmsg': {
    hint: 'Buffers are full, or the control messages larger than net.core.optmem_max: try again, or send fewer.',
    disposition: 'shed',
  },
  ENODATA: { hint: 'The socket has no such thing to tell, or not yet.', disposition: 'close' },
  ENOENT: { hint: 'Create the directory first, or correct the path.', disposition: 'close' },
  'ENOENT connect': {
    hint: 'Nobody has bound this path: start the other side first, or correct the path.',
    disposition: 'close',
  },
  'ENOENT sendmsg': {
    hint: 'Nobody has bound this path: start the other side first, or correct the path.',
    disposition: 'close',
  },
  ENOMEM: { hint: 'The kernel is short of memory: try again later.', disposition: 'shed' },
  ENOPROTOOPT: { hint: 'Sockets of this kind do not have this option.', disposition: 'bug' },
  ENOSYS: { hint: 'This runtime has no event loop to watch descriptors with.', disposition: 'close' },
  'ENOSYS pidfd_open': { hint: 'Needs Linux 5.3; taking descriptors out of a process, 5.6.', disposition: 'close' },
  'ENOSYS pidfd_getfd': { hint: 'Needs Linux 5.6.', disposition: 'close' },
  ENOTCONN: { hint: 'The socket is not connected, or its peer has gone.', disposition: 'close' },
  ENOTSOCK: { hint: 'The descriptor is no socket.', disposition: 'bug' },
  ENOTSUP: { hint: 'Sockets of this kind cannot do this, or not with these flags.', disposition: 'bug' },
  EPERM: { hint: 'The system forbids it to this user.', disposition: 'close' },
  'EPERM sendmsg': {
    hint: 'Only a privileged process may send credentials that are not its own; a firewall can forbid it too.',
    disposition: 'close',
  },
  'EPERM poll': {
    hint: 'A regular file is always ready: only sockets, pipes and the like can be waited for.',
    disposition: 'bug',
  },
  'EPERM pidfd_getfd': {
    hint: 'Needs a debugger’s rights: the same user and kernel.yama.ptrace_scope=0, being its parent, or CAP_SYS_PTRACE.',
    disposition: 'close',
  },
  EPIPE: { hint: 'The peer is gone.', disposition: 'close' },
  'EPIPE sendmsg': {
    hint: 'The peer is gone, or the socket was never connected: a listener sends on what accept gives.',
    disposition: 'close',
  },
  EPROTONOSUPPORT: { hint: 'This family has no such type or protocol.', disposition: 'bug' },
  EPROTOTYPE: { hint: 'The socket at this address is of another type.', disposition: 'bug' },
  ESOCKTNOSUPPORT: { hint: 'This family has no sockets of this type.', disposition: 'bug' },
  ESRCH: { hint: 'No process has this pid: leave it out to send your own.', disposition: 'bug' },
  'ESRCH getsockopt': { hint: 'The process at the other end has ended.', disposition: 'close' },
  'ESRCH pidfd_open': { hint: 'No process has this pid any more.', disposition: 'close' },
  'ESRCH pidfd_getfd': { hint: 'The process has ended.', disposition: 'close' },
  ETOOMANYREFS: {
    hint: 'Too many descriptors of this user are in flight: try again when the peer has read.',
    disposition: 'retry',
  },
}

/** What errors mean whose names or meanings the runtime's own table lacks, and that sockets can give. */
const MISSING_TEXTS: Record<string, string> = {
  EBADMSG: 'bad message',
  EDOM: 'value out of range',
  EINPROGRESS: 'operation now in progress',
  ENETRESET: 'connection dropped by network',
  ENOMSG: 'no message of this type',
  ETIME: 'timer expired',
  ETOOMANYREFS: 'too many references: cannot splice',
}

/** Their names by number; Node's own list of numbers lacks one of them. */
const MISSING_NAMES: ReadonlyMap<number, [string, string]> = new Map(
  Object.entries(MISSING_TEXTS).flatMap(([name, text]): [number, [string, string]][] => {
    const known = (constants.errno as Record<string, number>)[name]
    const number = known ?? (name === 'ETOOMANYREFS' && process.platform === 'linux' ? 109 : undefined)
    return number === undefined ? [] : [[-number, [name, text]]]
  }),
)

const names = getSystemErrorMap()

function named(errno: number): [string, string] {
  return names.get(errno) ?? MISSING_NAMES.get(errno) ?? [`UNKNOWN_ERRNO_${-errno}`, `unknown system error ${-errno}`]
}

/**
 * The number of a named system error on this platform, negative, e.g. `errnoOf('EAGAIN')` is -11 on Linux.
 * @throws {TypeError} no error has this name: a bug of the caller
 */
export function errnoOf(code: string): number {
  for (const table of [names, MISSING_NAMES]) {
    for (const [errno, [name]] of table) if (name === code) return errno
  }
  throw new TypeError(`code: the name of a system error, not ${code}`)
}

/** What to do about a negative errno. Numbers the table does not know mean 'close'. */
export function dispositionOf(errno: number): Disposition {
  return SYSTEM[named(errno)[0]]?.disposition ?? 'close'
}

/**
 * A failed system call, shaped like Node's own: `code`, negative `errno`, `syscall`, and for addresses `address`
 * and `port`. `hint` is one sentence that says what to do.
 */
export class SyscallError extends Error {
  override readonly name = 'SyscallError'
  readonly code: string
  readonly errno: number
  readonly syscall: string
  readonly hint: string
  declare readonly address?: string
  declare readonly port?: number

  constructor(errno: number, syscall: string, where: { address?: string; port?: number } = {}) {
    const [code, text] = named(errno)
    const place =
      where.address === undefined ? '' : ` ${where.address}${where.port === undefined ? '' : `:${where.port}`}`
    super(`${code}: ${text}, ${syscall}${place}`)
    this.code = code
    this.errno = errno
    this.syscall = syscall
    // Many messages fail for the reasons that one does.
    const told = where.address !== undefined && where.port === undefined ? `${code} path` : ''
    this.hint = (SYSTEM[told] ?? SYSTEM[`${code} ${syscall.replace('mmsg', 'msg')}`] ?? SYSTEM[code])?.hint ?? ''
    if (where.address !== undefined) this.address = where.address
    if (where.port !== undefined) this.port = where.port
  }
}

/** The hints of system errors, by code, or by code and call; for documents and tests. */
export const systemHints: readonly [key: string, hint: string][] = Object.entries(SYSTEM).map(([key, { hint }]) => [
  key,
  hint,
])

/** Every error of the project that is not a system error, by its code, with what to do about it. */
const HANDOVER = {
  ERR_HANDOVER_NO_ADDON:
    'Build it with `npm run build:native` in a checkout, or install a release that ships your platform.',
  ERR_HANDOVER_NO_CHANNEL: 'Start this program with spawn() or `handover run`, which set HANDOVER_CHANNEL.',
  ERR_HANDOVER_BAD_CHANNEL: 'The number or address must lead to a UNIX stream socket that nobody has taken yet.',
  ERR_HANDOVER_BAD_FRAME: 'The peer does not speak this protocol, or its stream was read by someone else.',
  ERR_HANDOVER_VERSION: 'Run releases of handover on both sides that share a protocol version.',
  ERR_HANDOVER_DESCRIPTORS_MISSING: 'Descriptors were announced that did not come: nobody else may read the channel.',
  ERR_HANDOVER_DESCRIPTORS_SURPLUS: 'The peer sent descriptors that no frame announced.',
  ERR_HANDOVER_OUTBOX_FULL: 'The peer does not read: wait for it to drain, or close the channel.',
  ERR_HANDOVER_CLOSED: 'The channel is closed: establish a new one.',
  ERR_HANDOVER_NO_ANSWER: 'The master did not answer in time: its event loop is blocked, or it is gone.',
  ERR_HANDOVER_NO_HELLO:
    'It may not let this user in (its own log says so), be no program that takes a channel, be ending, or be stuck.',
  ERR_HANDOVER_REFUSED: 'The peer does not take it, and it is still yours: keep it, or offer it to somebody else.',
  ERR_HANDOVER_RETURNED: 'The peer gave it back untouched, and it is still yours: offer it again, or to somebody else.',
  ERR_HANDOVER_PEER_GONE:
    'The peer ended before it took it. It is still yours, unless the message says that it was closed: offer it to somebody else.',
  ERR_HANDOVER_TIMED_OUT: 'Look at what the other side is doing; what was offered is still yours.',
  ERR_HANDOVER_NOT_MOVABLE: 'It stays where it is: the message says why, and what to do instead.',
  ERR_HANDOVER_IDENTITY: 'The descriptor is not the one that was announced, and was closed: do not trust the sender.',
  ERR_HANDOVER_STRANGER: 'Let this user in with the option `admit`, or run both sides as the same user.',
  ERR_HANDOVER_UNSUPPORTED: 'The peer is an older release: upgrade it, or do without.',
  ERR_HANDOVER_ACTIVATION:
    'The variables of the service manager must be as it set them: the message says which is not.',
  ERR_HANDOVER_STOPPED: 'Make a new supervisor: one starts once.',
  ERR_HANDOVER_NOT_REPLACED: 'The supervisor goes on as before: the message says what was in the way. Try again.',
  ERR_HANDOVER_REPLACED: 'Another process has taken its place, or is about to: ask that one.',
  ERR_HANDOVER_CONTROL: 'Name another path with --control, or do without by --no-control: the message says why.',
  ERR_HANDOVER_NOT_RUNNING: 'Start it with `handover run`, or look with `handover list` for what runs.',
  ERR_HANDOVER_WORKERS_FAILED: 'Read what the workers wrote last: why they ended, or what they wait for.',
  ERR_HANDOVER_ROLLED_BACK: 'Read what the new workers wrote, and reload when it is mended.',
  ERR_HANDOVER_SUPERSEDED: 'A later reload took its place: wait for that one.',
} as const

export type HandoverErrorCode = keyof typeof HANDOVER

/** A failure of the protocol or of its use over time; match on `code`. `hint` says what to do. */
export class HandoverError extends Error {
  override readonly name = 'HandoverError'
  readonly code: HandoverErrorCode
  readonly hint: string
  /**
   * Of a reload that failed: the last lines of the workers that did, each behind its worker's number. Of a replacement of
   * the supervisor: those of the successor.
   */
  declare readonly output?: readonly string[]

  constructor(
    code: HandoverErrorCode,
    message: string,
    options: { cause?: unknown; output?: readonly string[] | undefined } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.hint = HANDOVER[code]
    if (options.output !== undefined) this.output = options.output
  }
}

/** All codes of {@link HandoverError}, for documents and tests. */
export const handoverErrorCodes = Object.keys(HANDOVER) as HandoverErrorCode[]
