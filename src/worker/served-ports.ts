import type net from 'node:net'
import { SHUT_PORTS_MAX } from '../limits.js'
import type { PortHandle, PortRequest } from './port-handle.js'

/** The master's ports that servers of this worker listen on, by the master's numbers. */
export class ServedPorts {
  readonly #handles = new Map<number, PortHandle[]>()
  /** Ports the application closed: connections that were on their way go back. */
  readonly #shut = new Set<number>()
  /** How often the program has asked for any port, by host. */
  readonly #anyPorts = new Map<string, number>()
  /** The ports each server ever listened on: its connections outlive them. */
  readonly #portsOf = new WeakMap<net.Server, Set<number>>()

  get handles(): PortHandle[] {
    return [...new Set([...this.#handles.values()].flat())]
  }

  /** Who serves a port, or the first of several ports that anybody serves. */
  handle(...ports: readonly number[]): PortHandle | undefined {
    return ports.map((port) => this.#handles.get(port)?.[0]).find((handle) => handle !== undefined)
  }

  /** The ports that a server listens on, or did. */
  portsOf(server: net.Server): number[] {
    return [...(this.#portsOf.get(server) ?? [])]
  }

  /** Whether it was closed a short while ago. */
  wasShut(port: number): boolean {
    return this.#shut.has(port)
  }

  /**
   * The how-manieth port of the same place this is. Workers agree by it: for `port: 0` it counts every call, as each
   * wants a port of its own; for a number what is open now, so that a second one meets the first as in the kernel.
   */
  nth(request: PortRequest): number {
    const { host, port } = request
    if (port !== 0) return this.handles.filter((handle) => handle.has(request)).length
    const nth = this.#anyPorts.get(host) ?? 0
    this.#anyPorts.set(host, nth + 1)
    return nth
  }

  add(handle: PortHandle, ports: readonly number[]): void {
    this.#portsOf.set(handle.server, new Set([...this.portsOf(handle.server), ...ports]))
    for (const port of ports) {
      this.#handles.set(port, [...(this.#handles.get(port) ?? []), handle])
      this.#shut.delete(port)
    }
  }

  /** @returns the ports that nobody serves any more */
  remove(handle: PortHandle): number[] {
    const over: number[] = []
    for (const [port, handles] of this.#handles) {
      const left = handles.filter((other) => other !== handle)
      if (left.length === handles.length) continue
      if (left.length > 0) this.#handles.set(port, left)
      else {
        this.#handles.delete(port)
        this.#remember(port)
        over.push(port)
      }
    }
    return over
  }

  /** What is on its way for a port arrives soon after it was closed: the last few are enough. */
  #remember(port: number): void {
    this.#shut.add(port)
    const [oldest] = this.#shut
    if (this.#shut.size > SHUT_PORTS_MAX) this.#shut.delete(oldest as number)
  }
}
