// A master of one's own: starts two workers, prints what happens, and stops when asked to.
import { fileURLToPath } from 'node:url'
import { Supervisor } from 'handover'

const supervisor = new Supervisor({
  script: fileURLToPath(new URL('./http-server.mjs', import.meta.url)),
  workers: 2,
  maxConnections: 1000,
})
supervisor.on('line', ({ worker, text }) => console.log(`[${worker}] ${text}`))
supervisor.on('ended', ({ worker, end }) => console.log(`worker ${worker} ended`, end))

await supervisor.start()
const [address] = supervisor.status().ports
console.log(`listening on http://127.0.0.1:${address.port}`)

process.once('SIGTERM', async () => {
  await supervisor.stop()
  console.log(`served ${supervisor.status().dispatched} connections`)
})
