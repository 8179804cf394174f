import net from 'node:net'
import tty from 'node:tty'
import { SyscallError } from '../errors.js'
import { socketOn } from '../runtime/node-sockets.js'
import { familyOf, first, isStream, notWhatWasSaid, taking } from './arrived.js'
import type { ConnectionDetails } from './connection-details.js'

/**
 * Makes a live `net.Socket` of a descriptor, as Node makes one of an accepted connection: it delivers `bytes` and then
 * what it reads. Takes the descriptor, also when it throws.
 * @throws {HandoverError} ERR_HANDOVER_IDENTITY: the descriptor is not what the details say
 * @throws {SyscallError} the event loop cannot take it
 */
export function adoptSocket(descriptor: number, details: ConnectionDetails, bytes: Uint8Array): net.Socket {
  return taking([descriptor], (left) => {
    const socket = details.type === 'tcp' || details.type === 'unix' ? stream(left, details) : device(left, details)
    if (bytes.length > 0) socket.unshift(bytes)
    if (details.timeout !== undefined) socket.setTimeout(details.timeout)
    return socket
  })
}

function stream(left: number[], details: ConnectionDetails): net.Socket {
  const descriptor = first(left)
  const kind = details.type as 'tcp' | 'unix'
  if (!isStream(descriptor) || familyOf(descriptor) !== kind) throw notWhatWasSaid(`connection over ${kind}`)
  const made = socketOn(kind, descriptor, {
    allowHalfOpen: details.halfOpen === true,
    readable: details.noRead !== true,
    writable: details.noWrite !== true,
    // Only what Node believes of the socket, so that it can be unset later: no system call comes of it.
    ...(details.noDelay ? { noDelay: true } : {}),
    ...(details.keepAlive === undefined ? {} : { keepAlive: true, keepAliveInitialDelay: details.keepAlive * 1000 }),
  })
  if (typeof made === 'number') throw new SyscallError(made, 'adopt')
  left.shift()
  return made
}

/** Pipes and terminals: rarer, so that Node may look at them itself. */
function device(left: number[], details: ConnectionDetails): net.Socket {
  const fd = first(left)
  const readable = details.noRead !== true
  const writable = details.noWrite !== true
  try {
    if (details.type === 'tty' && !tty.isatty(fd)) throw notWhatWasSaid('terminal')
    const socket =
      details.type === 'pipe'
        ? new net.Socket({ fd, readable, writable, allowHalfOpen: details.halfOpen === true })
        : readable
          ? new tty.ReadStream(fd)
          : new tty.WriteStream(fd)
    left.shift()
    return socket
  } catch (cause) {
    if (cause instanceof TypeError) throw notWhatWasSaid(details.type === 'tty' ? 'terminal' : 'pipe', cause)
    throw cause
  }
}
