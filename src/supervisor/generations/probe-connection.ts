import net from 'node:net'
import type { GivenBack } from '../../dispatch/target.js'
import type { Descriptor } from '../../sendmsg/descriptor.js'
import { readable, writable } from '../../sendmsg/readiness.js'
import { accept, bind, connect, getsockname, listen, socket, socketpair } from '../../sendmsg/sockets.js'
import { AF_INET } from '../../syscalls/constants.js'
import { close, closeMany } from '../../syscalls/descriptor.js'
import { type ArrivalNote, arrivalNote } from '../../transport/arrival-note.js'
import type { ChannelTarget } from '../workers/channel-target.js'

/** A worker has as many connections as it may have, or rests: it cannot be asked, and nothing follows from that. */
export class NoRoom extends Error {}

/** By this note such a connection is known when its worker gives it back. */
const PROBE: ArrivalNote = arrivalNote({}, null)

/**
 * A connection of the master's own to exactly this worker, which sees it come to the port as any other. Gives the socket.
 * @param port  the master's number of the port
 * @param kind  what it listens on
 * @throws {Error} the worker has no room for it; {SyscallError} EMFILE, …
 */
export async function connectTo(target: ChannelTarget, port: number, kind: 'tcp' | 'unix'): Promise<net.Socket> {
  const [near, far] = kind === 'unix' ? socketpair() : await tcpPair()
  if (target.room <= 0) {
    near.close()
    far.close()
    throw new NoRoom('it takes no connection now')
  }
  const socket = new net.Socket({ fd: near.release() })
  const descriptor = far.release()
  try {
    const arrivals = { count: 1, descriptor: () => descriptor, note: () => PROBE, describe: () => NOBODY }
    target.take(arrivals, 0, port)
  } catch (error) {
    close(descriptor)
    socket.destroy()
    throw error
  }
  target.flush()
  return socket
}

const NOBODY = { peer: null, local: null }

/** Of what a worker gave back, all but such connections, which are closed: no other worker is to answer in its place. */
export function withoutProbes(given: GivenBack): GivenBack {
  const { descriptors, tags, notes } = given
  const isProbe = (index: number): boolean => notes?.get(index) === PROBE
  if (![...(notes?.values() ?? [])].includes(PROBE)) return given
  const all = [...descriptors.keys()]
  closeMany(Int32Array.from(all.filter(isProbe), (index) => descriptors[index] as number))
  const kept = all.filter((index) => !isProbe(index))
  const keptNotes = new Map<number, ArrivalNote>()
  kept.forEach((from, to) => {
    const note = notes?.get(from)
    if (note !== undefined) keptNotes.set(to, note)
  })
  return {
    descriptors: Int32Array.from(kept, (index) => descriptors[index] as number),
    tags: Uint32Array.from(kept, (index) => tags[index] as number),
    notes: keptNotes,
  }
}

/** Two ends of a TCP connection within this process: somebody else's that comes in between is turned away. */
async function tcpPair(): Promise<[Descriptor, Descriptor]> {
  const listener = socket(AF_INET)
  let near: Descriptor | null = null
  let far: Descriptor | null = null
  try {
    near = socket(AF_INET)
    bind(listener, { address: '127.0.0.1', port: 0 })
    listen(listener)
    connect(near, getsockname(listener) as { address: string; port: number })
    const own = (getsockname(near) as { port: number }).port
    for (;;) {
      await readable(listener)
      const accepted = accept(listener)
      if (accepted === null) continue
      if ((accepted.address as { port: number } | null)?.port === own) {
        far = accepted.descriptor
        await writable(near)
        return [near, far]
      }
      accepted.descriptor.close()
    }
  } catch (error) {
    near?.close()
    far?.close()
    throw error
  } finally {
    listener.close()
  }
}
