import { kernel } from './kernel.js'
import { type Called, checked } from './result.js'

/**
 * Makes a bound socket accept connections. Borrows the descriptor.
 * @param backlog  connections the kernel queues, cut to net.core.somaxconn
 * @throws {SyscallError} EADDRINUSE
 * @see listen(2)
 */
export function listen(
  descriptor: number,
  backlog: number,
  where?: { address?: string; port?: number },
  called: Called = listen,
): void {
  checked(kernel.listen(descriptor, backlog), 'listen', where, called)
}
