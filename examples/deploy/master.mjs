// One of several machines behind HAProxy (haproxy.cfg), as a program: what `handover run --admin … --agent-check …` does.
// SIGUSR2 reloads, SIGTERM drains and ends. SCRIPT, HOST, WORKERS, ADMIN_PORT, AGENT_PORT, HANDOVER_ADMIN_TOKEN and PROXIES say the rest.
import { fileURLToPath } from 'node:url'
import { notifier, Supervisor } from 'handover'
import { AdminServer, AgentCheck, newToken } from 'handover/admin'
import handshake from './proxy.mjs'

const { env } = process
const host = env.HOST ?? '127.0.0.1'
const supervisor = new Supervisor({
  script: env.SCRIPT ?? fileURLToPath(new URL('../http-server.mjs', import.meta.url)),
  workers: Number(env.WORKERS ?? 2),
  handshake,
})
const token = env.HANDOVER_ADMIN_TOKEN ?? newToken()
const admin = new AdminServer(supervisor, { host, port: Number(env.ADMIN_PORT ?? 9100), token, name: 'shop' })
const agent = new AgentCheck(supervisor, { host, port: Number(env.AGENT_PORT ?? 9101) })

// Signals are for what has started. A token that was made here is said once.
await supervisor.start()
await Promise.all([admin.start(), agent.start()])
const manager = notifier() // systemd, if that is who started this
const stopWatchdog = manager.startWatchdog()

process.on('SIGUSR2', async () => {
  try {
    const { generation } = await supervisor.reload()
    console.log(`reloaded: generation ${generation}`)
  } catch (error) {
    console.error(`not reloaded: ${error.message}`)
  }
})
process.once('SIGTERM', async () => {
  await manager.stopping()
  stopWatchdog()
  await supervisor.stop()
  await Promise.all([admin.stop(), agent.stop()])
})
await manager.ready('Serving')
console.log('serving', env.HANDOVER_ADMIN_TOKEN === undefined ? `(token ${token})` : '')
