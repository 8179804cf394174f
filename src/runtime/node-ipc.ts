/** Descriptors that travel over Node's own IPC, which knows sockets of its own only. */
import net from 'node:net'
import { shown } from '../arguments.js'
import { HandoverError } from '../errors.js'
import { dup } from '../syscalls/descriptor.js'

/** A socket that Node can send and that reads nothing by itself. Takes the descriptor: destroy the socket once it is sent. */
export function socketForIpc(descriptor: number): net.Socket {
  return new net.Socket({ fd: descriptor, manualStart: true } as net.SocketConstructorOpts)
}

/**
 * The descriptor of a socket that came over IPC. Takes the socket, gives the descriptor.
 * @throws {HandoverError} ERR_HANDOVER_BAD_CHANNEL: it is none, or has been read from
 */
export function socketFromIpc(socket: unknown): number {
  const fd = (socket as { _handle?: { fd?: number } } | null)?._handle?.fd
  if (!(socket instanceof net.Socket) || typeof fd !== 'number' || fd < 0 || socket.bytesRead > 0) {
    throw new HandoverError('ERR_HANDOVER_BAD_CHANNEL', `over the IPC came ${shown(socket)}, which is no fresh socket`)
  }
  try {
    return dup(fd)
  } finally {
    socket.destroy()
  }
}
