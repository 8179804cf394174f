/** Programs that speak no protocol: they send a byte, or a few, and a descriptor with it. */
import { checkOptions, shown } from '../arguments.js'
import { type End, endCredentials } from '../channel/end.js'
import { onStop } from '../channel/stop.js'
import { errnoOf, HandoverError, SyscallError } from '../errors.js'
import { reasonOf } from '../sendmsg/abort.js'
import { Descriptor } from '../sendmsg/descriptor.js'
import { AF_UNIX } from '../syscalls/constants.js'
import { close } from '../syscalls/descriptor.js'
import { identify, parseIdentity } from '../syscalls/identity.js'
import { isConnected } from '../transport/things.js'
import { type Admission, stranger } from './admission.js'
import { BareReceiver, type ReceiveBareOptions } from './bare-receiver.js'
import { listenOptions, takenSource } from './listen.js'
import { bootstrapOf, type EndSource } from './registry.js'

/** Root can be whoever it wants: where this process has connected, it is no stranger. */
const ROOT = [0]

/**
 * Receives from programs that send bytes and descriptors with no protocol at all, as modules of servers and programs in
 * the manner of inetd do. Nothing is claimed or answered: what was received is ours. It listens once this resolves.
 *
 * On a stream, bytes that come before a descriptor can arrive together with it, and those after it never do.
 * @param source  an address to listen at, as for `listen`; or a UNIX socket as a {@link Descriptor}, which is taken: one
 *   that listens (stream), or a connected one, whose end is the receiver's
 * @throws {SyscallError} as `listen`; ENOTSOCK, ENOTCONN
 * @throws {HandoverError} ERR_HANDOVER_STRANGER: somebody else is at the other end of a connected socket
 * @throws {TypeError | RangeError} a wrong argument
 */
export async function receiveBare(
  source: string | Descriptor,
  options: ReceiveBareOptions = {},
): Promise<BareReceiver> {
  checkOptions(options, ['mode', 'owner', 'admit', 'backlog', 'signal'])
  const given = listenOptions(options)
  const { signal, admit } = options
  onStop({ ...(signal !== undefined && { signal }) }, () => {})() // looks at it
  if (signal?.aborted) throw reasonOf(signal)
  if (source instanceof Descriptor) return new BareReceiver(takenOrigin(source, admit), options)
  const { bootstrap, place } = bootstrapOf(source, 'listen')
  const listening = await bootstrap.listen(place, given)
  if (!signal?.aborted) return new BareReceiver(listening, options)
  listening.close()
  throw reasonOf(signal)
}

/** Takes the descriptor. @throws as {@link receiveBare}; it is closed then */
function takenOrigin(given: Descriptor, admission: Admission | undefined): EndSource | End {
  if (given.fd < 0) throw new TypeError(`source: an open Descriptor, not ${shown(given)} that is closed`)
  const who = parseIdentity(identify(given.fd))
  if (who?.socket && who.family === AF_UNIX && who.listening) return takenSource(given)
  const descriptor = given.release()
  try {
    if (!who?.socket) throw new SyscallError(errnoOf('ENOTSOCK'), 'recvmsg')
    if (who.family !== AF_UNIX) throw new TypeError(`source: a UNIX socket, not descriptor ${descriptor}`)
    if (!isConnected(descriptor)) throw new SyscallError(errnoOf('ENOTCONN'), 'recvmsg')
    const credentials = endCredentials(descriptor)
    const reason = stranger(credentials, admission, ROOT)
    if (reason !== null) throw new HandoverError('ERR_HANDOVER_STRANGER', `at the other end, ${reason}`)
    return { descriptor, credentials }
  } catch (error) {
    close(descriptor)
    throw error
  }
}
