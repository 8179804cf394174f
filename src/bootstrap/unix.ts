/** Channels by a name: a path, an abstract name (`@name`), or one the kernel picks (`@`; both Linux). */
import { resolve } from 'node:path'
import type { End } from '../channel/end.js'
import { endCredentials } from '../channel/end.js'
import { SyscallError } from '../errors.js'
import { ACCEPT_BATCH_MAX, ACCEPT_RETRY, BACKLOG_DEFAULT, SOCKET_PATH_MAX } from '../limits.js'
import { bind } from '../syscalls/bind.js'
import { connect } from '../syscalls/connect.js'
import { AF_UNIX } from '../syscalls/constants.js'
import { close } from '../syscalls/descriptor.js'
import { listen } from '../syscalls/listen.js'
import { socket } from '../syscalls/socket.js'
import { getsockname } from '../syscalls/socket-name.js'
import { READABLE, Watcher } from '../syscalls/watch.js'
import { ListeningPort } from '../transport/listening-port.js'
import type { Bootstrap, BootstrapListenOptions, Caller, EndSource } from './registry.js'

/** `@name` stands for an abstract name, which starts with a zero byte. */
const pathOf = (place: string): string => place.replace(/^@/, '\0')
const placeOf = (path: string): string => path.replace(/^\0/, '@')

const NOBODY_YET: ReadonlySet<string> = new Set(['ENOENT', 'ECONNREFUSED', 'EAGAIN'])

export const unix: Bootstrap = {
  scheme: 'unix',
  connect: (place) => connectTo(pathOf(place)),
  retries: (error) => error instanceof SyscallError && NOBODY_YET.has(error.code),
  listen: (place, options) => new UnixSource(place === '@' ? autobound(options) : bound(pathOf(place), options)),
}

function connectTo(path: string): End {
  const descriptor = socket(AF_UNIX)
  try {
    connect(descriptor, { path })
    return { descriptor, credentials: endCredentials(descriptor) }
  } catch (error) {
    close(descriptor)
    throw error
  }
}

function bound(path: string, { mode, owner, backlog = BACKLOG_DEFAULT }: BootstrapListenOptions): ListeningPort {
  return ListeningPort.open({ path: whole(path), mode, backlog, ...(owner && { owner }) })
}

/** Others may have another working directory, and so may this process later; unless only the short form fits. */
function whole(path: string): string {
  if (path.startsWith('\0')) return path
  const absolute = resolve(path)
  return Buffer.byteLength(absolute) > SOCKET_PATH_MAX ? path : absolute
}

/** An address of no bytes lets the kernel pick a free abstract name. */
function autobound({ backlog = BACKLOG_DEFAULT }: BootstrapListenOptions): ListeningPort {
  const descriptor = socket(AF_UNIX)
  try {
    bind(descriptor, { path: '' })
    listen(descriptor, backlog)
  } catch (error) {
    close(descriptor)
    throw error
  }
  return ListeningPort.adopt(descriptor)
}

/** Where a listening UNIX socket is; null if it has no name. Borrows it. */
export function nameOf(descriptor: number): string | null {
  const address = getsockname(descriptor)
  return address?.family === 'unix' ? placeOf(address.path) : null
}

/** Ends from a listening UNIX port. Owns the port. */
export class UnixSource implements EndSource {
  readonly address: string
  readonly #port: ListeningPort
  readonly #watcher: Watcher
  #called: (caller: Caller) => void = () => {}
  #resting: NodeJS.Timeout | null = null

  /** Takes the port. @throws {SyscallError} it cannot be watched; it is closed then */
  constructor(port: ListeningPort) {
    this.#port = port
    try {
      this.address = nameOf(port.fd) ?? ''
      this.#watcher = new Watcher(port.fd, () => this.#accept())
    } catch (error) {
      port.close()
      throw error
    }
  }

  watch(called: (caller: Caller) => void): void {
    this.#called = called
    this.#watcher.watch(READABLE)
  }

  pause(): void {
    if (this.#resting !== null) clearTimeout(this.#resting)
    this.#watcher.watch(0)
  }

  set referenced(referenced: boolean) {
    this.#watcher.referenced = referenced
  }

  close(): void {
    this.pause()
    this.#watcher.close()
    this.#port.close()
  }

  #accept(): void {
    const count = this.#port.accept(ACCEPT_BATCH_MAX)
    for (let index = 0; index < count; index++) this.#called(callerOf(this.#port.batch.descriptor(index)))
    if (count < 0) this.#rest()
  }

  /** No descriptor is left: who connects waits in the kernel's queue, and looking again at once would only spin. */
  #rest(): void {
    this.pause()
    this.#resting = setTimeout(() => this.#watcher.watch(READABLE), ACCEPT_RETRY)
  }
}

function callerOf(descriptor: number): Caller {
  const credentials = endCredentials(descriptor)
  return {
    credentials,
    admit: () => ({ descriptor, credentials }),
    refuse: () => close(descriptor),
  }
}
