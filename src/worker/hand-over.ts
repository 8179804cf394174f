import type net from 'node:net'
import { checkOptions, shown } from '../arguments.js'
import type { SendOptions } from '../channel/options.js'
import type { Route } from '../handshake/verdict.js'
import { CONTENTS, type HandOverContents, packing } from '../transport/hand-over.js'
import type { Transport } from '../transport/transport.js'
import { attachedMaster } from './attach.js'
import { give } from './give.js'
import { withoutMaster } from './hand-overs.js'

/** How a worker hands a connection to another. */
export interface HandOverOptions extends HandOverContents, SendOptions {
  /**
   * Who is to have it: `group`, exactly that `worker`, or by `key`; 'master': back to the master, which takes it by
   * `Supervisor.onHandOver`. Default: any other worker that takes it, by fewest connections.
   */
  to?: Route | 'master'
}

const KNOWN = [...CONTENTS, 'to', 'timeout', 'signal', 'flushTimeout']

/**
 * Hands a live connection to another worker of the same master. Takes the socket: it is out of use from this call on, at
 * once if none of its output is still in this process. When this resolves the other worker's program has it, and ours is
 * destroyed, which its client does not notice; if it rejects the socket goes on here as before.
 * @throws {HandoverError} ERR_HANDOVER_REFUSED: no worker takes it, the message says why; _NOT_MOVABLE: it cannot leave;
 *   _TIMED_OUT; _CLOSED: there is no master; _PEER_GONE: the master ended in the middle: where nobody can tell who has
 *   the connection it is closed here (`socket.destroyed`)
 * @throws {TypeError | RangeError} a wrong argument; the signal's reason
 */
export function handOver(socket: net.Socket | Transport, options: HandOverOptions = {}): Promise<void> {
  return new Promise((resolve) => {
    checkOptions(options, KNOWN)
    const pack = packing(socket, options)
    const link = attachedMaster()
    if (link === null) throw withoutMaster()
    resolve(give(link, socket, pack, options))
  })
}

/**
 * Takes connections that other workers, or the master, hand over under this name. Gives the socket, as it was there:
 * listen to it in the same turn. Workers that take a name are found by it: call this before the program listens, so that
 * a predecessor which drains finds it, and in the same turn: a program that has not asked for a port by the next one is
 * taken for one that listens nowhere, and is ready.
 * In a program that no master started it does nothing.
 * @returns what ends it
 * @throws {TypeError} the name has a handler already
 */
export function onHandOver<State = unknown>(as: string, taken: (socket: net.Socket, state: State) => void): () => void {
  const end = onHandOverBesides(as, taken)
  attachedMaster()?.takesOthers()
  return end
}

/** The same for a program that is ready when it listens, and not before. */
export function onHandOverBesides<State = unknown>(
  as: string,
  taken: (socket: net.Socket, state: State) => void,
): () => void {
  if (typeof as !== 'string' || as === '') throw new TypeError(`as: a text, not ${shown(as)}`)
  if (typeof taken !== 'function') throw new TypeError(`taken: a function, not ${shown(taken)}`)
  const handler = taken as (socket: net.Socket, state: unknown) => void
  return attachedMaster()?.handOvers.take(as, handler) ?? (() => {})
}
