/** Sockets that tell the ends which a proxy in front named, in place of those the kernel knows. */
import type net from 'node:net'
import { handlesOf, showEnds } from '../runtime/node-ends.js'
import type { Proxied } from './proxied.js'

/** By handle, which a TLS socket shares with the one below it; by socket, once asked, as a handle goes with its end. */
const known = new WeakMap<object, Proxied>()
/** Most programs stand behind no proxy, and are not to pay for it. */
let any = false

/** Makes the socket of a handle tell these ends. Before anybody asks it for them. */
export function showProxied(handle: object, proxied: Proxied): void {
  any = true
  known.set(handle, proxied)
  showEnds(handle, proxied.peer, proxied.local)
}

/** The same for a socket that is there already, and has not been asked. */
export function showProxiedBy(socket: net.Socket, proxied: Proxied): void {
  any = true
  known.set(socket, proxied)
  const [handle] = handlesOf(socket)
  if (handle !== undefined) showProxied(handle, proxied)
}

/**
 * What a proxy in front said of a connection (PROXY protocol); null: nothing, its addresses are the kernel's. Borrows the
 * socket, of any kind (net, tls; of a request `request.socket`).
 */
export function proxied(socket: net.Socket): Proxied | null {
  if (!any) return null
  const cached = known.get(socket)
  if (cached !== undefined) return cached
  for (const handle of handlesOf(socket)) {
    const found = known.get(handle)
    if (found === undefined) continue
    known.set(socket, found)
    return found
  }
  return null
}
