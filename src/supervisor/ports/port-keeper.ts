import { ListeningPort, type ListenOptions } from '../../transport/listening-port.js'

/** Whoever keeps ports beyond the end of this process, and had some before its start. */
export interface PortKeeper {
  /** A port that listens there already. Gives it, with the name it is kept under; null there: it is not ours to forget. */
  find(options: ListenOptions): { port: ListeningPort; name: string | null } | null
  /** A name that a port is kept under since a process before: no other port is to get it. */
  known?(name: string): void
  /** A port was opened. Borrows it. @returns the name it is kept under; null: it is not kept */
  opened(port: ListeningPort): string | null
  /** Nobody listens there any more. */
  closed(name: string): void
}

/** Opens and closes listening sockets, and has them kept by whoever keeps them. */
export class KeptPorts {
  #keeper: PortKeeper | null = null
  readonly #names = new Map<ListeningPort, string>()
  /** Opened while nobody kept any. */
  readonly #unkept = new Set<ListeningPort>()

  /** Null: ports end with this process. It hears of the ports there are: of names in use first, then of new ones. */
  set keeper(keeper: PortKeeper | null) {
    this.#keeper = keeper
    if (keeper === null) return
    for (const name of this.#names.values()) keeper.known?.(name)
    for (const port of this.#unkept) if (port.fd >= 0) this.resume(port, keeper.opened(port))
    this.#unkept.clear()
  }

  /** The name that it is kept under; null: it is not. */
  nameOf(port: ListeningPort): string | null {
    return this.#names.get(port) ?? null
  }

  /** One that was kept, if any. Gives it. */
  find(options: ListenOptions): ListeningPort | null {
    const found = this.#keeper?.find(options) ?? null
    if (found === null) return null
    this.resume(found.port, found.name)
    return found.port
  }

  /** Gives a new one. @throws as `ListeningPort.open` */
  open(options: ListenOptions): ListeningPort {
    const port = ListeningPort.open(options)
    this.#keep(port)
    return port
  }

  /** It is kept under this name already. */
  resume(port: ListeningPort, name: string | null): void {
    if (name !== null) this.#names.set(port, name)
  }

  /** It was bound anew: another socket is to be kept. */
  renewed(port: ListeningPort): void {
    this.#forget(port)
    this.#keep(port)
  }

  /** Closes it for good. */
  close(port: ListeningPort): void {
    this.#forget(port)
    port.close()
  }

  #keep(port: ListeningPort): void {
    if (this.#keeper === null) this.#unkept.add(port)
    else this.resume(port, this.#keeper.opened(port))
  }

  #forget(port: ListeningPort): void {
    this.#unkept.delete(port)
    const name = this.#names.get(port)
    this.#names.delete(port)
    if (name !== undefined) this.#keeper?.closed(name)
  }
}
