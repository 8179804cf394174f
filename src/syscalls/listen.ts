import { kernel } from './kernel.js'
import { checked } from './result.js'

/**
 * Makes a bound socket accept connections. Borrows the descriptor.
 * @param backlog  connections the kernel queues, cut to net.core.somaxconn
 * @throws {SyscallError} EADDRINUSE
 * @see listen(2)
 */
export function listen(descriptor: number, backlog: number, where?: { address?: string; port?: number }): void {
  checked(kernel.listen(descriptor, backlog), 'listen', where, listen)
}
