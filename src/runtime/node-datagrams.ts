/**
 * What Node's datagram sockets keep to themselves, under a symbol since `_handle` has gone from Node 26: the native
 * handle, and whether they are bound and connected.
 */
import type dgram from 'node:dgram'
import { hiddenIn } from './symbols.js'

interface State {
  handle: { readonly fd?: number; recvStart(): number; recvStop(): number } | null
  receiving: boolean
  bindState: number
  connectState: number
}

const BOUND = 2
const CONNECTED = 2

const stateOf = hiddenIn<State>('state symbol')

/** The descriptor, borrowed; -1: closed, or not bound yet. */
export function descriptorOfDatagrams(socket: dgram.Socket): number {
  const state = stateOf(socket)
  const fd = state?.bindState === BOUND ? state.handle?.fd : undefined
  return typeof fd === 'number' && fd >= 0 ? fd : -1
}

/** Whether Node is connecting it: it waits for the address of a name. */
export function isConnecting(socket: dgram.Socket): boolean {
  return stateOf(socket)?.connectState === 1
}

/** Leaves what comes in the kernel. */
export function stopReceiving(socket: dgram.Socket): void {
  stateOf(socket)?.handle?.recvStop()
}

export function goOnReceiving(socket: dgram.Socket): void {
  const state = stateOf(socket)
  if (state?.receiving) state.handle?.recvStart()
}

/** Tells Node that the descriptor it was given has a peer: `send` without an address, `remoteAddress()`. */
export function setConnected(socket: dgram.Socket): void {
  const state = stateOf(socket)
  if (state !== undefined) state.connectState = CONNECTED
}
