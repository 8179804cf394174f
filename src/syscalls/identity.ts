/** Who a descriptor is, as text: what one process announces, another finds in the descriptor that came. */
import { kernel } from './kernel.js'
import { type Called, checked } from './result.js'

export interface SocketIdentity {
  readonly socket: true
  /** As in AF_INET, SOCK_STREAM, IPPROTO_TCP. */
  readonly family: number
  readonly socketType: number
  readonly protocol: number
  readonly listening: boolean
  /** What no other socket of this machine has, since it was started: SO_COOKIE in decimal; elsewhere the inode. */
  readonly cookie: string
  /** `127.0.0.1:80`, `[::1]:80`, `unix:` or `raw:` and hexadecimal digits; null: none, or not known any more. */
  readonly local: string | null
  readonly peer: string | null
}

export interface FileIdentity {
  readonly socket: false
  /** Numbers of 64 bits, in decimal. */
  readonly device: string
  readonly inode: string
  readonly type: FileType
}

export type Identity = SocketIdentity | FileIdentity

const FILE_TYPES = ['regular', 'directory', 'fifo', 'character', 'block', 'link', 'other'] as const
/** What neither is a file nor a socket is `other`: an eventfd, a pidfd. */
export type FileType = (typeof FILE_TYPES)[number]

/**
 * Who a descriptor is: the same text in every process of this machine that has it, however it got there. Borrows it.
 *
 * `socket <family> <type> <protocol> <listening> <cookie> <local> <peer>`, or `file <device> <inode> <type>`. Two files
 * opened of one path are one, and so are all of the things without an inode of their own: eventfd, timerfd, epoll.
 * @throws {SyscallError} EBADF
 * @see fstat(2), socket(7), SO_COOKIE
 */
export function identify(descriptor: number, called: Called = identify): string {
  const text = kernel.identify(descriptor)
  if (typeof text === 'number') checked(text, 'fstat', undefined, called)
  return text as string
}

const NUMBER = String.raw`(0|[1-9]\d{0,9})`
const LONG = String.raw`(0|[1-9]\d{0,19})`
const ADDRESS = String.raw`(-|[\d.]{7,15}:\d{1,5}|\[[\da-f:.]{2,45}\]:\d{1,5}|(?:unix|raw):(?:[\da-f]{2}){1,128})`
const SOCKET = new RegExp(`^socket ${NUMBER} ${NUMBER} ${NUMBER} ([01]) ${LONG} ${ADDRESS} ${ADDRESS}$`)
const FILE = new RegExp(`^file ${LONG} ${LONG} (${FILE_TYPES.join('|')})$`)

/** Takes the text of {@link identify} apart; null when it is none. */
export function parseIdentity(text: string): Identity | null {
  const socket = SOCKET.exec(text)
  if (socket !== null) {
    const [, family, type, protocol, listening, cookie, local, peer] = socket as unknown as string[]
    return {
      socket: true,
      family: Number(family),
      socketType: Number(type),
      protocol: Number(protocol),
      listening: listening === '1',
      cookie: cookie as string,
      local: known(local as string),
      peer: known(peer as string),
    }
  }
  const file = FILE.exec(text)
  if (file === null) return null
  return { socket: false, device: file[1] as string, inode: file[2] as string, type: file[3] as FileType }
}

const known = (address: string): string | null => (address === '-' ? null : address)

/**
 * Whether a descriptor that was found is the one that was announced. Addresses count where both sides know them: of a
 * client that has gone meanwhile, the kernel has forgotten where it was.
 */
export function sameIdentity(announced: string, found: string): boolean {
  if (announced === found) return true
  const [one, other] = [parseIdentity(announced), parseIdentity(found)]
  if (!one?.socket || !other?.socket) return false
  return (
    one.family === other.family &&
    one.socketType === other.socketType &&
    one.protocol === other.protocol &&
    one.listening === other.listening &&
    one.cookie === other.cookie &&
    (one.local === other.local || one.local === null || other.local === null) &&
    (one.peer === other.peer || one.peer === null || other.peer === null)
  )
}
