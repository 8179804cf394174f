import { loadAddon } from './addon.js'

/** An open watcher of the addon; only the addon looks inside. */
export type NativeWatcher = object

/**
 * The native functions, as plain properties: the one seam at which tests put short writes, EMFILE and truncation.
 * Each returns >= 0 or -errno. Everything else in this folder gives them types and errors.
 */
export interface Kernel {
  addressText(family: number, bytes: Uint8Array, offset: number): string
  addressBytes(family: number, text: string, bytes: Uint8Array, offset: number): number
  interfaceIndex(name: string): number
  socket(family: number, type: number, protocol: number): number
  socketpair(ends: Int32Array, family: number, type: number, protocol: number): number
  bind(descriptor: number, addressLength: number): number
  connect(descriptor: number, addressLength: number): number
  listen(descriptor: number, backlog: number): number
  shutdown(descriptor: number, how: number): number
  getsockname(descriptor: number): number
  getpeername(descriptor: number): number
  getsockopt(descriptor: number, level: number, name: number, value: Uint8Array): number
  setsockopt(descriptor: number, level: number, name: number, value: Uint8Array): number
  peerCredentials(descriptor: number, row: Int32Array): number
  /** The line, or -errno. */
  identify(descriptor: number): string | number
  peerPidfd(descriptor: number): number
  pidfdOpen(pid: number): number
  pidfdGetfd(pidfd: number, number: number): number
  lock(descriptor: number): number
  forgetPipePath(descriptor: number): number
  close(descriptor: number): number
  closeMany(descriptors: Int32Array, first: number, count: number): number
  dup(descriptor: number): number
  setCloseOnExec(descriptor: number): number
  kcmp(one: number, other: number): number
  poll(descriptor: number, events: number, milliseconds: number): number
  schedule(batch: number): number
  affinity(bits: Uint8Array, set: number): number
  accept(listener: number, descriptors: Int32Array, peers: Uint8Array, slot: number, most: number): number
  peek(descriptors: Int32Array, count: number, bytes: Uint8Array, slot: number, lengths: Int32Array): number
  sendmsg(
    socket: number,
    data: Uint8Array | readonly Uint8Array[],
    flags: number,
    controls: number,
    addressLength: number,
  ): number
  recvmsg(socket: number, data: Uint8Array | readonly Uint8Array[], flags: number, controlSize: number): number
  sendmmsg(
    socket: number,
    parts: readonly Uint8Array[],
    rows: Int32Array,
    count: number,
    control: Uint8Array,
    index: Int32Array,
    addresses: Uint8Array,
    flags: number,
  ): number
  recvmmsg(
    socket: number,
    data: Uint8Array,
    count: number,
    size: number,
    control: Uint8Array,
    controlSize: number,
    index: Int32Array,
    addresses: Uint8Array,
    rows: Int32Array,
    flags: number,
  ): number
  readyOpen(): number
  readyArm(queue: number, descriptor: number, events: number): number
  readyTake(queue: number, rows: Int32Array): number
  closeAtEnd(bits: Uint32Array): number
  closeListed(control: Uint8Array, index: Int32Array, count: number): number
  watchOpen(descriptor: number, callback: (status: number, events: number) => void): NativeWatcher | number
  watchUpdate(watcher: NativeWatcher, events: number): number
  watchRef(watcher: NativeWatcher, referenced: number): number
  watchClose(watcher: NativeWatcher): number
  /** Memory that both sides see; exchange.ts says what is where. */
  readonly exchange: ArrayBuffer
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
