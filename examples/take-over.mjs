// Two programs that nobody supervises: start this twice. The second takes the port and the live connections over from
// the first, which then ends; no client notices.
//
//     node examples/take-over.mjs 8080 /tmp/take-over.sock     (and once more, in another terminal)
import { once } from 'node:events'
import http from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { connect, listen, movableConnections, serveConnection } from 'handover'

const [port = '8080', name = '/tmp/take-over.sock'] = process.argv.slice(2)

/** For a server of our own, and for one that was taken over: listeners and options of HTTP do not travel. */
function prepared(server) {
  server.on('request', (request, response) => response.end(`${process.pid} ${request.url}\n`))
  server.keepAliveTimeout = 30_000
  return server
}

/** What a predecessor has, its server and then its connections; null if there is none, or it has given them to another. */
async function takeOver() {
  const predecessor = await connect(name).catch((error) => {
    if (['ENOENT', 'ECONNREFUSED', 'ERR_HANDOVER_NO_HELLO'].includes(error.code)) return null
    throw error
  })
  const first = await predecessor?.receive()
  if (!first) return null
  const server = prepared(first.things[0])
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
  const server = prepared(http.createServer()).listen(Number(port), '127.0.0.1')
  await once(server, 'listening')
  return { server, rest: null }
}

async function start() {
  for (let tries = 1; ; tries++) {
    const taken = await takeOver()
    if (taken !== null) return taken
    try {
      return await startAlone()
    } catch (error) {
      if (error.code !== 'EADDRINUSE' || tries === 50) throw error
    }
    await delay(100) // another has just taken the port over: it will listen at the name
  }
}

const { server, rest } = await start()
console.log(`${process.pid} serves port ${server.address().port}`)
await rest

// From here on a successor may come.
const listener = await listen(name)
for await (const successor of listener) {
  await handOver(successor).catch((error) => {
    console.error(`${process.pid} goes on: ${error.message}`) // what was not claimed is served here as before
  })
  if (!server.listening) listener.close() // the name is the successor's, who waits for the end of the channel
  successor.close()
}

async function handOver(successor) {
  await successor.send('the server', [server]) // it accepts here until the successor has it
  const move = (sockets) =>
    successor.send('connections', sockets).catch((error) => {
      if (error.code !== 'ERR_HANDOVER_NOT_MOVABLE') throw error // else the next request is there: it is answered here
    })
  // A busy connection is free when its answer is finished; the loop finds those that wait, and hears of every failure.
  server.on('request', (request, response) => response.on('finish', () => move([request.socket]).catch(() => {})))
  while ((await connectionsOf(server)) > 0) {
    const waiting = movableConnections(server)
    if (waiting.length > 0) await move(waiting.slice(0, 253))
    await delay(20)
  }
  console.log(`${process.pid} has handed everything over`)
}

function connectionsOf(server) {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error ? reject(error) : resolve(count)))
  })
}
