/**
 * What Node's sockets tell of their two ends: `remoteAddress`, `localAddress`, `address()` and their like ask the handle,
 * once, by `getpeername(out)` and `getsockname(out)`. A TLS socket's handle asks the one below it, which it has as
 * `_parent`. The same from Node 20 to 26.
 */
import type net from 'node:net'
import type { StreamHandle } from './node-internals.js'

interface End {
  readonly address: string
  readonly family: 'IPv4' | 'IPv6'
  readonly port: number
}

interface Ends {
  getpeername?(out: object): number
  getsockname?(out: object): number
}

/** Makes the socket of a handle tell other ends than the kernel's. Before anybody asks for them. */
export function showEnds(handle: object, peer: End, local: End): void {
  const telling = ({ address, family, port }: End) => {
    return (out: object): number => {
      Object.assign(out, { address, family, port })
      return 0
    }
  }
  Object.assign(handle, { getpeername: telling(peer), getsockname: telling(local) } satisfies Ends)
}

/** The handle of a socket and those below it, as far as they are there still. */
export function handlesOf(socket: net.Socket): StreamHandle[] {
  const handles: StreamHandle[] = []
  let next = (socket as unknown as { _handle?: (StreamHandle & { _parent?: StreamHandle }) | null })._handle
  while (next !== null && next !== undefined && handles.length < 4) {
    handles.push(next)
    next = next._parent
  }
  return handles
}
