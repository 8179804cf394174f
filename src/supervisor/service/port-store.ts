import { resolve } from 'node:path'
import type { Activation } from '../../bootstrap/activation.js'
import type { Notifier } from '../../bootstrap/notify.js'
import { AF_UNIX, SO_ACCEPTCONN, SO_DOMAIN, SO_TYPE, SOCK_STREAM, SOL_SOCKET } from '../../syscalls/constants.js'
import { getsockname } from '../../syscalls/socket-name.js'
import { getsockoptInt } from '../../syscalls/sockopt.js'
import { socketAddress } from '../../transport/address.js'
import { ListeningPort, type ListenOptions } from '../../transport/listening-port.js'
import { isAbstract, isBoundTo } from '../../transport/socket-path.js'
import type { PortKeeper } from '../ports/port-keeper.js'

/** What the names of ports begin with that this program has put into the descriptor store. */
const STORED = 'handover-'

/**
 * The service manager as a keeper of ports: what is opened goes into its descriptor store, and what is there from the
 * process before, or comes from a socket unit, is used where the same address is to be opened.
 */
export class PortStore implements PortKeeper {
  readonly #notifier: Notifier
  readonly #passed: Activation | null
  readonly #failed: (error: Error) => void
  /** Names that were given away. */
  readonly #names: Set<string>

  /** Takes what was passed. @param failed  hears what could not be told to the manager */
  constructor(notifier: Notifier, passed: Activation | null, failed: (error: Error) => void) {
    this.#notifier = notifier
    this.#passed = passed
    this.#failed = failed
    this.#names = new Set(passed?.names)
  }

  find(options: ListenOptions): { port: ListeningPort; name: string | null } | null {
    for (const { descriptor, index, name } of this.#passed ?? []) {
      if (!listensAt(descriptor.fd, options)) continue
      const stored = name.startsWith(STORED)
      const path = stored && 'path' in options ? { path: options.path } : {} // a socket unit's path is its own
      const taken = this.#passed?.take(index) ?? descriptor
      return { port: ListeningPort.adopt(taken, { ...path, opened: options }), name: stored ? name : null }
    }
    return null
  }

  known(name: string): void {
    this.#names.add(name)
  }

  opened(port: ListeningPort): string | null {
    if (!this.#notifier.supervised) return null
    let number = 1
    while (this.#names.has(`${STORED}${number}`)) number += 1
    const name = `${STORED}${number}`
    this.#names.add(name)
    // A listening port has no hang-up by which the manager could tell that it is of no use.
    this.#notifier.store(name, [port.fd], { poll: false }).catch(this.#failed)
    return name
  }

  closed(name: string): void {
    this.#names.delete(name)
    this.#notifier.removeStored(name).catch(this.#failed)
  }

  /** Nobody asks for what is left: closes it, here and in the store. */
  closeRest(): void {
    for (const { name } of this.#passed ?? []) if (name.startsWith(STORED)) this.closed(name)
    this.close()
  }

  /** The same here alone: the next start finds it in the store. */
  close(): void {
    this.#passed?.close()
  }
}

/** Whether a descriptor listens where these options say. Borrows it. */
function listensAt(descriptor: number, options: ListenOptions): boolean {
  try {
    if (getsockoptInt(descriptor, SOL_SOCKET, SO_TYPE) !== SOCK_STREAM) return false
    if (getsockoptInt(descriptor, SOL_SOCKET, SO_ACCEPTCONN) !== 1) return false
    if ('path' in options) {
      const path = isAbstract(options.path) ? options.path : resolve(options.path)
      return getsockoptInt(descriptor, SOL_SOCKET, SO_DOMAIN) === AF_UNIX && isBoundTo(descriptor, path)
    }
    const address = socketAddress(getsockname(descriptor))
    if (address === null || options.port === 0 || address.port !== options.port) return false
    return options.host === undefined ? ['::', '0.0.0.0'].includes(address.address) : address.address === options.host
  } catch {
    return false // no socket, or of another kind
  }
}
