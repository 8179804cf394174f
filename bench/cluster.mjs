// The same server under node:cluster: `node bench/cluster.mjs <rr | none> <workers>`.
import cluster from 'node:cluster'
import { fileURLToPath } from 'node:url'

const [policy, workers] = process.argv.slice(2)
cluster.schedulingPolicy = policy === 'rr' ? cluster.SCHED_RR : cluster.SCHED_NONE
cluster.setupPrimary({ exec: fileURLToPath(new URL('server.mjs', import.meta.url)), args: [] })
for (let i = 0; i < Number(workers); i++) cluster.fork()

cluster.on('exit', ({ process: { pid } }, code, signal) => {
  console.error(`worker ${pid} ended (${signal ?? code})`)
  process.exit(1)
})
process.on('SIGTERM', () => process.exit(0)) // workers end when their channel does
