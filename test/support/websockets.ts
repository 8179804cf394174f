/** WebSockets to take apart: servers, clients that write bytes of their own, frames by hand, and a move within this process. */
import { once } from 'node:events'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import WebSocket, { type ServerOptions, WebSocketServer } from 'ws'
import { release } from '../../src/index.js'
import { putTogether, takeApart } from '../../src/websocket/index.js'

export const TEXT = 1
export const BINARY = 2
export const CONTINUATION = 0
export const CLOSE = 8
export const PING = 9
export const PONG = 10

export interface FrameOptions {
  last?: boolean
  compressed?: boolean
  /** How the length is written; default: as short as it can be. */
  lengthBits?: 7 | 16 | 64
  mask?: readonly number[]
}

/** A client's frame, made without ws. */
export function frame(opcode: number, payload: string | Uint8Array, options: FrameOptions = {}): Buffer {
  const { last = true, compressed = false, mask = [0x37, 0xfa, 0x21, 0x3d] } = options
  const bytes = Buffer.from(payload)
  const bits = options.lengthBits ?? (bytes.length < 126 ? 7 : bytes.length < 65_536 ? 16 : 64)
  const header = Buffer.alloc(bits === 7 ? 2 : bits === 16 ? 4 : 10)
  header[0] = (last ? 0x80 : 0) | (compressed ? 0x40 : 0) | opcode
  header[1] = 0x80 | (bits === 7 ? bytes.length : bits === 16 ? 126 : 127)
  if (bits === 16) header.writeUInt16BE(bytes.length, 2)
  if (bits === 64) header.writeBigUInt64BE(BigInt(bytes.length), 2)
  for (let i = 0; i < bytes.length; i++) bytes[i] = (bytes[i] as number) ^ (mask[i & 3] as number)
  return Buffer.concat([header, Buffer.from(mask), bytes])
}

/** What a WebSocket of a server hears from now on, in order. */
export function heard(ws: WebSocket, events: string[][] = []): string[][] {
  ws.on('message', (data: Buffer, binary) => events.push([binary ? 'binary' : 'text', data.toString('latin1')]))
  ws.on('ping', (data) => events.push(['ping', data.toString('latin1')]))
  ws.on('pong', (data) => events.push(['pong', data.toString('latin1')]))
  ws.on('error', (error) => events.push(['error', (error as NodeJS.ErrnoException).code ?? error.message]))
  ws.on('close', (code, reason) => events.push(['close', String(code), String(reason)]))
  ws.on('moved', () => events.push(['moved']))
  return events
}

export interface Server {
  readonly server: WebSocketServer
  readonly port: number
  /** The next WebSocket that opens. */
  next(): Promise<WebSocket>
}

/** A WebSocketServer that listens; it and all its WebSockets end with the test. */
export async function server(t: TestContext, options: ServerOptions = {}): Promise<Server> {
  const over = http.createServer().listen(0, '127.0.0.1')
  await once(over, 'listening')
  const made = new WebSocketServer({ server: over, ...options })
  t.after(() => {
    for (const ws of made.clients ?? []) ws.terminate()
    made.close()
    over.closeAllConnections()
    over.close()
  })
  return {
    server: made,
    port: (over.address() as AddressInfo).port,
    next: async () => ((await once(made, 'connection')) as [WebSocket])[0],
  }
}

/** A WebSocketServer that WebSockets move to. */
export function elsewhere(t: TestContext, options: ServerOptions = {}): WebSocketServer {
  const made = new WebSocketServer({ noServer: true, ...options })
  t.after(() => {
    for (const ws of made.clients ?? []) ws.terminate()
  })
  return made
}

/** A client without ws, whose upgrade is done; destroyed with the test. */
export async function rawClient(t: TestContext, port: number, headers: string[] = []): Promise<net.Socket> {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
  socket.on('error', () => {})
  t.after(() => socket.destroy())
  const request = [
    'GET / HTTP/1.1',
    'Host: x',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
  ]
  request.push('Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==', ...headers, '', '')
  socket.write(request.join('\r\n'))
  let answer = ''
  while (!answer.includes('\r\n\r\n')) answer += String(((await once(socket, 'data')) as [Buffer])[0])
  return socket
}

/** A raw client and the server's end of it. */
export async function rawPair(
  t: TestContext,
  { port, next }: Server,
  headers?: string[],
): Promise<{ client: net.Socket; ws: WebSocket }> {
  const opened = next()
  const client = await rawClient(t, port, headers)
  return { client, ws: await opened }
}

/** A client of ws and the server's end of it; terminated with the test. */
export async function pair(
  t: TestContext,
  { port, next }: Server,
  options: WebSocket.ClientOptions = {},
  protocols: string[] = [],
): Promise<{ client: WebSocket; ws: WebSocket }> {
  const opened = next()
  const client = new WebSocket(`ws://127.0.0.1:${port}`, protocols, options)
  t.after(() => client.terminate())
  const [ws] = await Promise.all([opened, once(client, 'open')])
  return { client, ws }
}

export const socketOf = (ws: WebSocket): net.Socket => (ws as unknown as { _socket: net.Socket })._socket

/** Waits until so many more bytes have been read on a WebSocket than `since`. */
export async function hasRead(ws: WebSocket, bytes: number): Promise<void> {
  while (socketOf(ws).bytesRead < bytes && !socketOf(ws).destroyed) await turn()
}

/** Waits turn by turn until a condition holds: for what comes at once, and often. */
export async function turns(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`not within 10 s: ${what}`)
    await turn()
  }
}

/** Moves a WebSocket to another server of this process, as to another process: its object and its socket are new. */
export async function moveHere(from: WebSocketServer, ws: WebSocket, to: WebSocketServer): Promise<WebSocket> {
  const apart = takeApart(from, ws)
  const state = JSON.parse(JSON.stringify(apart.state))
  const transport = await release(apart.socket)
  apart.moved()
  return putTogether(to, transport.adopt(), state, Buffer.from(apart.unread))
}
