import { IPPROTO_TCP, TCP_INFO } from '../syscalls/constants.js'
import { getsockopt } from '../syscalls/sockopt.js'

/** `tcpi_state` of a socket that listens. @see tcp_states.h */
const TCP_LISTEN = 10
/** Where `tcpi_unacked` is, behind eight bytes and four numbers: of a listening socket it is the length of its queue. */
const UNACKED = 24

const info = new Uint8Array(UNACKED + 4)
const view = new DataView(info.buffer)
const isLittle = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

/**
 * How many clients wait at a listening socket until somebody accepts them. Borrows the descriptor.
 * @returns null: the system does not tell, as of UNIX sockets, or anywhere but on Linux
 * @see tcp(7): TCP_INFO; `ss -lt` shows the same as Recv-Q
 */
export function listenQueue(descriptor: number): number | null {
  if (process.platform !== 'linux' || descriptor < 0) return null
  try {
    const length = getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, info)
    return length >= info.length && info[0] === TCP_LISTEN ? view.getUint32(UNACKED, isLittle) : null
  } catch {
    return null
  }
}
