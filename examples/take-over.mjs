// Two programs that nobody supervises: start this twice. The second takes the port and the live connections over from
// the first, which then ends; no client notices.
//
//     node examples/take-over.mjs 8080 /tmp/take-over.sock     (and once more, in another terminal)
import { once } from 'node:events'
import http from 'node:http'
import { connect, listen, movableConnections, serveConnection } from 'handover'

const [port = '8080', name = '/tmp/take-over.sock'] = process.argv.slice(2)

function answer(request, response) {
  response.end(`${process.pid} ${request.url}\n`)
}

/** What a predecessor has, if there is one: its server, then its connections, as they become free. */
async function takeOver() {
  const predecessor = await connect(name)
  const first = await predecessor.receive()
  const [server] = first.things
  server.on('request', answer)
  return { server, rest: takeConnections(predecessor, server) }
}

async function takeConnections(predecessor, server) {
  let count = 0
  for await (const { things } of predecessor) {
    for (const socket of things) serveConnection(server, socket)
    count += things.length
  }
  console.log(`${process.pid} has taken over ${count} connections`)
}

async function startAlone() {
  const server = http.createServer(answer).listen(Number(port), '127.0.0.1')
  await once(server, 'listening')
  return { server, rest: null }
}

const nobodyThere = (error) => ['ENOENT', 'ECONNREFUSED'].includes(error.code)
const { server, rest } = await takeOver().catch((error) => {
  if (nobodyThere(error)) return startAlone()
  throw error
})
console.log(`${process.pid} serves port ${server.address().port}`)
await rest

// From here on a successor may come.
const listener = await listen(name)
for await (const successor of listener) {
  try {
    await handOver(successor)
    break
  } catch (error) {
    console.error(`${process.pid} goes on: ${error.message}`) // what was not claimed is served here as before
  }
}

async function handOver(successor) {
  await successor.send('the server', [server]) // it accepts here until the successor has it
  for (let open = movableConnections(server); ; open = movableConnections(server)) {
    if (open.length > 0) await successor.send('connections', open.slice(0, 253))
    else if ((await connectionsOf(server)) === 0) break
    else await new Promise((resolve) => setTimeout(resolve, 20)) // requests are under way: they are answered here
  }
  listener.close() // the name is the successor's, who waits for the end of the channel before it listens
  successor.close()
  console.log(`${process.pid} has handed everything over`)
}

function connectionsOf(server) {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error ? reject(error) : resolve(count)))
  })
}
