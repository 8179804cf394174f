// What many run with node:cluster alone, as it distributes by default, and with a rolling restart at SIGUSR2. Forks a new worker, waits
// until it listens, disconnects an old one, and kills it if it is still there after a while.
//
//   node cluster-primary.js <workers> <script> [args…]
import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'

/** Milliseconds that a worker has to finish, as PM2 gives it by default. */
const GRACE = 1_600

const [workers, script, ...args] = process.argv.slice(2)
let leaving = false
let reloading: Promise<void> = Promise.resolve()
const retired = new WeakSet<Worker>()

cluster.setupPrimary({ ...(script === undefined ? {} : { exec: script }), args })
for (let i = 0; i < Number(workers); i++) cluster.fork()

cluster.on('exit', (worker) => {
  if (!leaving && !retired.has(worker)) cluster.fork()
})

process.on('SIGUSR2', () => {
  reloading = reloading.then(reload)
})

process.on('SIGTERM', () => {
  leaving = true
  for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGKILL')
  process.exit()
})

async function reload(): Promise<void> {
  for (const old of Object.values(cluster.workers ?? {})) {
    if (old === undefined) continue
    await once(cluster.fork(), 'listening')
    retired.add(old)
    const kill = setTimeout(() => old.process.kill('SIGKILL'), GRACE)
    old.once('exit', () => clearTimeout(kill))
    old.disconnect()
  }
}
