import net from 'node:net'
import tty from 'node:tty'
import { markAnswered } from '../runtime/node-http-idle.js'
import { descriptorOfSocket, handleName } from '../runtime/node-sockets.js'
import { AF_INET, AF_INET6, AF_UNIX, SOCK_STREAM } from '../syscalls/constants.js'
import { close } from '../syscalls/descriptor.js'
import { first, notWhatWasSaid, taking } from './arrived.js'
import type { ConnectionDetails } from './connection-details.js'
import { decodeProxied } from './proxied.js'
import { showProxiedBy } from './shown-ends.js'

/**
 * Makes a live `net.Socket` of a descriptor, as Node makes one of an accepted connection: it delivers `bytes` and then
 * what it reads. Takes the descriptor, also when it throws.
 * @throws {HandoverError} ERR_HANDOVER_IDENTITY: the descriptor is not what the details say
 */
export function adoptSocket(descriptor: number, details: ConnectionDetails, bytes: Uint8Array): net.Socket {
  return taking([descriptor], (left) => {
    const socket = details.type === 'tty' ? terminal(left, details) : stream(left, details)
    try {
      const ends = decodeProxied(details.proxied)
      if (ends !== null) showProxiedBy(socket, ends)
      if (bytes.length > 0) socket.unshift(bytes)
      if (details.answered) markAnswered(socket)
      if (details.timeout !== undefined) socket.setTimeout(details.timeout)
      return socket
    } catch (error) {
      socket.destroy()
      throw error
    }
  })
}

/** How the identities of connections begin; behind it come the protocol, and whether the socket listens. */
const streamsOf = (...families: number[]): string[] => families.map((family) => `socket ${family} ${SOCK_STREAM} `)
const STREAMS: Readonly<Record<string, readonly string[]>> = {
  tcp: streamsOf(AF_INET, AF_INET6),
  unix: streamsOf(AF_UNIX),
}

/**
 * Whether a connection can be made of a descriptor. Borrows it.
 * @param id  who it is, as `identify` tells
 * @throws {HandoverError} ERR_HANDOVER_IDENTITY: it is not what the details say
 */
export function checkConnection(descriptor: number, id: string, { type }: ConnectionDetails): void {
  const streams = STREAMS[type]
  if (streams !== undefined) {
    const start = streams.find((beginning) => id.startsWith(beginning))
    if (start !== undefined && id[id.indexOf(' ', start.length) + 1] === '0') return
  } else if (type === 'tty' ? tty.isatty(descriptor) : id.endsWith(' fifo') || id.startsWith('socket ')) {
    return
  }
  throw notWhatWasSaid(nouns[type])
}

/** Node looks at the descriptor itself: the event loop aborts the process over a file, say. */
function stream(left: number[], details: ConnectionDetails): net.Socket {
  const { type, halfOpen, noRead, noWrite, noDelay, keepAlive } = details
  const options: net.SocketConstructorOpts & Pick<net.TcpSocketConnectOpts, 'noDelay'> = {
    fd: first(left),
    allowHalfOpen: halfOpen === true,
    readable: noRead !== true,
    writable: noWrite !== true,
  }
  // Only what Node believes of the socket, so that it can be unset later: no system call comes of it.
  if (noDelay) options.noDelay = true
  if (keepAlive !== undefined) Object.assign(options, { keepAlive: true, keepAliveInitialDelay: keepAlive * 1000 })
  const socket = made(type, () => new net.Socket(options))
  left.shift()
  if ((handleName(socket) === 'TCP') === (type === 'tcp')) return socket
  socket.destroy()
  throw notWhatWasSaid(nouns[type])
}

function terminal(left: number[], { noRead, type }: ConnectionDetails): net.Socket {
  const fd = first(left)
  if (!tty.isatty(fd)) throw notWhatWasSaid(nouns[type])
  const socket = made(type, () => (noRead ? new tty.WriteStream(fd) : new tty.ReadStream(fd)))
  left.shift()
  if (descriptorOfSocket(socket) !== fd) close(fd) // the event loop opens a terminal anew, and leaves ours
  return socket
}

const nouns = { tcp: 'connection over TCP', unix: 'UNIX stream', pipe: 'pipe', tty: 'terminal' } as const

function made(type: keyof typeof nouns, make: () => net.Socket): net.Socket {
  try {
    return make()
  } catch (cause) {
    throw notWhatWasSaid(nouns[type], cause)
  }
}
