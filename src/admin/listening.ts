import type { AddressInfo, Server } from 'node:net'
import { SyscallError } from '../errors.js'

/** Lets a server listen. Where that fails nothing is left of it, and it can be tried again. @throws {SyscallError} */
export function listening(server: Server, host: string, port: number): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    const failed = ({ errno = 0, syscall = 'listen' }: NodeJS.ErrnoException): void => {
      server.off('listening', listens)
      reject(new SyscallError(errno, syscall, { address: host, port }))
    }
    const listens = (): void => {
      server.off('error', failed)
      server.on('error', () => {}) // no descriptor to accept with: it goes on when there is one
      resolve(server.unref().address() as AddressInfo)
    }
    server.once('error', failed).once('listening', listens).listen(port, host)
  })
}
