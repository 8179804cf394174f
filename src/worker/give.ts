import type net from 'node:net'
import type { SendOptions } from '../channel/options.js'
import type { Route } from '../handshake/verdict.js'
import { checkRoute, type packing } from '../transport/hand-over.js'
import { notMovable } from '../transport/movable.js'
import type { Transport } from '../transport/transport.js'
import type { MasterLink } from './master-link.js'

/** Offers a connection to the other workers. Settles as `handOver` does. */
export function give(
  link: MasterLink,
  socket: net.Socket | Transport,
  pack: ReturnType<typeof packing>,
  { as, to, ...rest }: SendOptions & { as?: string; to?: Route } = {},
): Promise<void> {
  const { timeout, signal, flushTimeout } = rest
  const message = {
    type: 'handOver' as const,
    ...(as === undefined ? { ports: portsOf(link, socket) } : { as }),
    ...(to === undefined ? {} : { to: checkRoute(to) }),
  }
  return link.handOvers.give(message, pack, {
    ...(timeout === undefined ? {} : { timeout }),
    ...(signal === undefined ? {} : { signal }),
    ...(flushTimeout === undefined ? {} : { flushTimeout }),
  })
}

/** Where the server listens that has the connection. */
function portsOf(link: MasterLink, socket: net.Socket | Transport): number[] {
  const { server } = socket as { server?: net.Server | null }
  const ports = server ? link.portsOf(server) : []
  if (ports.length > 0) return ports
  throw notMovable('no server that listens through the master has this connection: say with `as` who is to take it')
}
