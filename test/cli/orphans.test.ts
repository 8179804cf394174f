/** `handover run --orphans`: the process of the command is killed, and what its workers do then. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { connect, get } from '../support/client.js'
import { keepAlive } from '../support/keep-alive.js'
import { scratch } from '../support/paths.js'
import { freePort, program } from '../support/programs.js'
import { killed, type ServiceOptions, service, statusOf } from '../support/services.js'
import { isRunning } from '../support/successions.js'
import { until } from '../support/wait.js'

const MODES = process.platform === 'linux' ? ['dispatch', 'share', 'reuseport'] : ['dispatch', 'share']

/** Answers with its pid; /slow as soon as a file is there. */
const APP = `
import http from 'node:http'
import { existsSync } from 'node:fs'
const server = http.createServer((request, response) => {
  const body = String(process.pid)
  response.writeHead(200, { 'Content-Length': body.length })
  if (request.url !== '/slow') return response.end(body)
  response.flushHeaders()
  const timer = setInterval(() => {
    if (!existsSync(process.env.GATE)) return
    clearInterval(timer)
    response.end(body)
  }, 5)
})
server.keepAliveTimeout = 60_000
server.listen(Number(process.env.AT), '127.0.0.1')
`

interface Orphaned {
  port: number
  gate: string
  options: ServiceOptions
}

async function shop(t: TestContext, mode: string, orphans: string): Promise<Orphaned> {
  const gate = join(scratch(t), 'gate')
  const port = await freePort()
  const words = ['--name', 'shop', '--distribution', mode, '--orphans', orphans]
  return { port, gate, options: { words, script: program(t, APP), env: { AT: String(port), GATE: gate } } }
}

/** Whoever held the port without serving it would leave clients to wait. */
function nobodyListens(port: number): Promise<void> {
  return until('nobody listens', async () => {
    const socket = await connect({ port }).catch((error: NodeJS.ErrnoException) => error)
    if (socket instanceof Error) return socket.code === 'ECONNREFUSED'
    socket.on('error', () => {}).destroy()
    return false
  })
}

for (const mode of MODES) {
  test(`workers of a command that was killed finish what is open and end, without its port (end, ${mode})`, async (t) => {
    const { port, gate, options } = await shop(t, mode, 'end')
    const run = await service(t, options)
    const { workers } = await statusOf(t)
    const slow = await keepAlive(t, port)
    const answer = slow.ask('/slow')
    answer.catch(() => {})
    await new Promise((resolve) => slow.socket.once('data', resolve))
    await killed(run.child.pid as number)
    await nobodyListens(port)
    assert.ok(workers.some(({ pid }) => isRunning(pid)))
    writeFileSync(gate, '')
    const answerer = Number(await answer)
    assert.ok(workers.some(({ pid }) => pid === answerer))
    await until('the workers have ended', () => !workers.some(({ pid }) => isRunning(pid)))
  })

  test(`workers of a command that was killed serve what they have until the next of its name serves (wait, ${mode})`, async (t) => {
    const { port, options } = await shop(t, mode, 'wait')
    const run = await service(t, options)
    const { workers } = await statusOf(t)
    const before = workers.map(({ pid }) => pid)
    const clients = await Promise.all(Array.from({ length: 4 }, () => keepAlive(t, port)))
    for (const client of clients) await client.ask()
    await killed(run.child.pid as number)
    await nobodyListens(port)
    const answers = await Promise.all(clients.map((client) => client.ask()))
    assert.ok(answers.every((pid) => before.includes(Number(pid))))
    await service(t, options)
    const after = (await statusOf(t)).workers.map(({ pid }) => pid)
    assert.ok(after.includes(Number((await get({ port })).body)))
    await until('the orphans have ended', () => !before.some(isRunning))
    assert.ok(clients.every(({ ended }) => ended))
    assert.ok(after.includes(Number((await get({ port })).body)))
  })
}
