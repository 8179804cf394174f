// The program that `prove` runs unless it is given another: any Node server, which says who answers what.
//
//   GET /           the request's own id            POST /echo           the body
//   GET /slow?ms=n  the same over n milliseconds    upgrade prove-lines  each line comes back, with the pid behind it
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Pieces that a slow answer comes in. */
const PIECES = 5

const pid = String(process.pid)
const server = createServer(async (request, response) => {
  const id = String(request.headers['prove-id'] ?? '')
  let body = ''
  for await (const piece of request.setEncoding('latin1')) body += piece
  const text = Buffer.from(request.method === 'POST' ? body : id, 'latin1')
  response.writeHead(200, { 'prove-id': id, 'prove-pid': pid, 'content-length': text.length })
  const milliseconds = slowness(request)
  if (milliseconds === 0) response.end(text)
  else slowly(response, text, milliseconds)
})

function slowness({ url = '/' }: IncomingMessage): number {
  return Math.min(60_000, Number(/^\/slow\?ms=(\d+)$/.exec(url)?.[1] ?? 0))
}

function slowly(response: ServerResponse, text: Buffer, milliseconds: number): void {
  response.flushHeaders()
  const size = Math.ceil(text.length / PIECES)
  let from = 0
  const timer = setInterval(() => {
    response.write(text.subarray(from, from + size))
    from += size
    if (from < text.length) return
    clearInterval(timer)
    response.end()
  }, milliseconds / PIECES)
  response.on('close', () => clearInterval(timer))
}

/** Connections that were upgraded, and what came on each of a line that is not whole. */
const lines = new Map<Socket, string>()

function serveLines(socket: Socket): void {
  lines.set(socket, '')
  socket.on('data', (piece: Buffer | string) => {
    const whole = ((lines.get(socket) ?? '') + piece.toString('latin1')).split('\n')
    lines.set(socket, whole.pop() ?? '')
    for (const line of whole) socket.write(`${line} ${pid}\n`)
  })
  socket.on('error', () => {}).on('end', () => socket.end())
  socket.on('close', () => lines.delete(socket))
}

server.on('upgrade', (_request: IncomingMessage, socket: Socket) => {
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: prove-lines\r\nprove-pid: ${pid}\r\n\r\n`,
  )
  serveLines(socket)
})

// Under handover what lives goes to the successors. Elsewhere there is nothing to do it with.
if (process.env.HANDOVER_WORKER !== undefined) {
  const { handOver, onDrain, onHandOver } = await import('../index.js')
  onHandOver('lines', (socket) => serveLines(socket))
  onDrain(async ({ successor }) => {
    if (!successor) return
    const leave = async ([socket, unread]: [Socket, string]): Promise<void> => {
      await handOver(socket, { as: 'lines', unread: Buffer.from(unread, 'latin1') }).catch((error: Error) => {
        console.error(`a connection stays: ${error.message}`)
      })
    }
    await Promise.all([...lines].map(leave))
  })
}

// What PM2 sends at a reload. Elsewhere it comes from a terminal.
process.on('SIGINT', () => server.close(() => process.exit()))

server.listen(Number(process.env.PORT ?? 0), process.env.HOST ?? '127.0.0.1')
