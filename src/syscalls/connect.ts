import { kernel } from './kernel.js'
import { checked } from './result.js'

/**
 * Connects a UNIX stream socket to a path; it succeeds or fails at once. Borrows the descriptor.
 * @throws {SyscallError} ECONNREFUSED when nobody listens, ENOENT, EACCES, EAGAIN when the backlog is full
 * @see connect(2), unix(7)
 */
export function connectPath(descriptor: number, path: string): void {
  checked(kernel.connectPath(descriptor, Buffer.from(path)), 'connect', { address: path }, connectPath)
}
