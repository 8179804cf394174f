import { kernel } from './kernel.js'
import { checked } from './result.js'

/**
 * Binds a socket to a numeric address; a scope id is part of the host (`fe80::1%eth0`). Borrows the descriptor.
 * @throws {SyscallError} EADDRINUSE, EACCES, EADDRNOTAVAIL, with `address` and `port`
 * @see bind(2)
 */
export function bind(descriptor: number, host: string, port: number): void {
  checked(kernel.bind(descriptor, host, port), 'bind', { address: host, port }, bind)
}

/**
 * Binds a UNIX socket to a path, which it creates. Borrows the descriptor.
 * @throws {SyscallError} EADDRINUSE when the path exists, ENOENT, EACCES, ENAMETOOLONG, with `address`
 * @see bind(2), unix(7)
 */
export function bindPath(descriptor: number, path: string): void {
  checked(kernel.bindPath(descriptor, Buffer.from(path)), 'bind', { address: path }, bindPath)
}
