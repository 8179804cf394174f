// A chat of one: every client's messages are counted. SIGHUP starts new workers with whatever this file has become; the
// WebSockets move there with their counts, and no client notices.
//
//     node examples/websockets.mjs 8080     (and then: kill -HUP <its pid>)
import http from 'node:http'
import { fileURLToPath } from 'node:url'
import { Supervisor } from 'handover'
import { movableWebSockets } from 'handover/ws'
import { WebSocketServer } from 'ws'

if (process.env.HANDOVER_WORKER === undefined) await supervise()
else work()

async function supervise() {
  const supervisor = new Supervisor({ script: fileURLToPath(import.meta.url), args: process.argv.slice(2), workers: 2 })
  await supervisor.start()
  const [address] = supervisor.status().ports
  console.log(`process ${process.pid} listens on ws://127.0.0.1:${address.port}`)
  process.on('SIGHUP', async () => {
    const { generation } = await supervisor.reload()
    console.log(`generation ${generation} serves`)
  })
  process.once('SIGTERM', () => supervisor.stop(1_000))
}

function work() {
  const server = http.createServer((_request, response) => response.end('This is a WebSocket server.\n'))
  const sockets = new WebSocketServer({ server })
  const known = new WeakMap() // what is known of each client: all of it moves

  function serve(ws, state) {
    known.set(ws, state)
    ws.on('message', (data) => {
      state.count += 1
      ws.send(`${state.name} said ${state.count} things; the last was ${data} (process ${process.pid})`)
    })
    ws.on('error', () => ws.terminate())
  }

  sockets.on('connection', (ws, request) => serve(ws, { name: request.url.slice(1), count: 0 }))
  movableWebSockets(sockets, { state: (ws) => known.get(ws), resumed: serve })
  server.listen(Number(process.argv[2] ?? 8080), '127.0.0.1')
}
