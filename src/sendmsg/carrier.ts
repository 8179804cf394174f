import { AF_UNIX, SO_DOMAIN, SO_TYPE, SOCK_STREAM, SOL_SOCKET } from '../syscalls/constants.js'
import { getsockoptInt } from '../syscalls/sockopt.js'
import { totalOf } from './buffers.js'
import { Descriptor } from './descriptor.js'
import type { DescriptorLike } from './socket-argument.js'

/** Descriptors that are known to be UNIX sockets: an owner has one file for life, a number is asked each time. */
const known = new WeakSet<Descriptor>()

/**
 * What the kernel would drop without a word is refused: descriptors over another socket than a UNIX one, or without a
 * byte over a stream.
 * @param fd    the number of `socket`
 * @param name  what the bytes are called in errors
 * @throws {RangeError}
 */
export function checkCarrier(
  socket: DescriptorLike,
  fd: number,
  parts: Uint8Array | readonly Uint8Array[],
  name = 'data',
): void {
  const owner = socket instanceof Descriptor ? socket : null
  if ((owner === null || !known.has(owner)) && optionOf(fd, SO_DOMAIN, AF_UNIX) !== AF_UNIX) {
    throw new RangeError('socket: one of the family AF_UNIX when descriptors are sent, as no other carries them')
  }
  if (owner !== null) known.add(owner)
  if (totalOf(parts) === 0 && optionOf(fd, SO_TYPE, undefined) === SOCK_STREAM) {
    const wanted = 'at least one byte when descriptors go over a stream, or the kernel drops them'
    throw new RangeError(`${name}: ${wanted}; not 0 bytes`)
  }
}

/** An option of a socket, or `otherwise` where it cannot be told: the send itself will say what is wrong. */
function optionOf<Otherwise>(fd: number, option: number | undefined, otherwise: Otherwise): number | Otherwise {
  if (option === undefined) return otherwise
  try {
    return getsockoptInt(fd, SOL_SOCKET, option)
  } catch {
    return otherwise
  }
}
