import { loadAddon } from './addon.js'

/** An open watcher of the addon; only the addon looks inside. */
export type NativeWatcher = object

/**
 * The native functions, as plain properties: the one seam at which tests put short writes, EMFILE and truncation.
 * Each returns >= 0 or -errno. Everything else in this folder gives them types and errors.
 */
export interface Kernel {
  addressText(records: Uint8Array, offset: number): string
  socket(family: number, type: number): number
  socketpair(ends: Int32Array): number
  bind(descriptor: number, host: string, port: number): number
  bindPath(descriptor: number, path: Uint8Array): number
  connectPath(descriptor: number, path: Uint8Array): number
  listen(descriptor: number, backlog: number): number
  getsockname(descriptor: number, record: Uint8Array): number
  getpeername(descriptor: number, record: Uint8Array): number
  getsockopt(descriptor: number, level: number, name: number): number
  setsockopt(descriptor: number, level: number, name: number, value: number): number
  close(descriptor: number): number
  closeMany(descriptors: Int32Array, first: number, count: number): number
  dup(descriptor: number): number
  setCloseOnExec(descriptor: number): number
  poll(descriptor: number, events: number, milliseconds: number): number
  schedule(batch: number): number
  accept(listener: number, descriptors: Int32Array, peers: Uint8Array, most: number): number
  sendRights(
    socket: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    descriptors: Int32Array,
    first: number,
    count: number,
  ): number
  recvRights(
    socket: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    descriptors: Int32Array,
    arrived: Int32Array,
  ): number
  watchOpen(descriptor: number, callback: (status: number, events: number) => void): NativeWatcher | number
  watchUpdate(watcher: NativeWatcher, events: number): number
  watchRef(watcher: NativeWatcher, referenced: number): number
  watchClose(watcher: NativeWatcher): number
  readonly constants: Readonly<Record<string, number>>
}

/** A copy, so that a test that replaces a function does not change the addon for others. */
export const kernel: Kernel = { ...(loadAddon() as Kernel) }

/** A platform constant by name. Throws when this platform has none: a bug, as callers ask only for portable ones. */
export function constant(name: string): number {
  const value = kernel.constants[name]
  if (value === undefined) throw new TypeError(`this platform has no constant ${name}`)
  return value
}
