// A service of systemd: `systemd-socket-activate -l 8080 node examples/systemd.mjs`, or with the units of docs/systemd.md,
// or alone: `node examples/systemd.mjs`. It serves the ports it was started with. One of its own it puts into the manager's
// store, so that the next start finds it open, with the clients that came in between.
import { createServer } from 'node:http'
import { activation, notifier } from 'handover'
import { AF_INET, bind, listen, SOCK_STREAM, setsockopt, socket } from 'handover/sendmsg'

const manager = notifier()
const passed = activation()
const ports = passed === null ? [await portOfOurOwn()] : [...passed]
let greeting = 'hello'

async function portOfOurOwn() {
  const descriptor = socket(AF_INET, SOCK_STREAM)
  setsockopt(descriptor, 'SO_REUSEADDR', true)
  bind(descriptor, { address: process.env.HOST ?? '127.0.0.1', port: Number(process.env.PORT ?? 0) })
  listen(descriptor)
  if (await manager.store('http', [descriptor])) console.log('stored the port as http')
  return { name: 'http', descriptor }
}

/** Serves one port; the server closes its descriptor from now on. */
async function serve({ name, descriptor }) {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/plain')
    response.end(`${greeting} from process ${process.pid}, port ${name}\n`)
  })
  await new Promise((resolve, reject) => {
    server.once('error', reject).listen({ fd: descriptor.release() }, resolve)
  })
  const address = server.address() // null for a UNIX path that was passed
  console.log(`${name}: ${address === null ? 'a UNIX path' : `http://${address.address}:${address.port}`}`)
  return server
}

const servers = await Promise.all(ports.map(serve))
const stopWatchdog = manager.startWatchdog()

process.on('SIGHUP', async () => {
  await manager.reloading()
  greeting = 'hello again' // where a service reads its configuration
  await manager.ready('Reloaded')
  console.log('reloaded')
})

process.on('SIGTERM', async () => {
  await manager.stopping('Answering the last clients')
  stopWatchdog()
  for (const server of servers) server.close() // what is under way is answered, and then the process ends
})

await manager.ready(`Serving ${ports.map(({ name }) => name).join(', ')}`)
