/** A supervisor as a service: its manager knows who it is, and keeps its ports while nobody is there. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import test from 'node:test'
import { Service, Supervisor } from '../../src/index.js'
import { get } from '../support/client.js'
import { noLeak } from '../support/descriptors.js'
import { storingManager } from '../support/notify-manager.js'
import { freePort, program } from '../support/programs.js'
import { APP } from '../support/succession-clients.js'
import { isRunning, succession } from '../support/successions.js'
import { supervise } from '../support/supervised.js'
import { channelPair } from '../support/things.js'
import { until } from '../support/wait.js'

const FIXED = APP.replace('listen(0,', 'listen(Number(process.env.PORT),')

test('the manager is told when it serves, reloads, is replaced and stops, by whoever is the main process', async (t) => {
  const told = storingManager(t)
  const env = { NOTIFY_SOCKET: told.address, WATCHDOG_USEC: '400000' }
  const app = await succession(t, program(t, APP), env)
  const first = app.master()
  await until('it is ready', () =>
    told.told.some((line) => /^READY=1 STATUS=\d of 2 workers ready, generation 1, 0 connections open$/.test(line)),
  )
  await until('it shows that it lives', () => told.told.includes('WATCHDOG=1'))
  process.kill(first, 'SIGHUP')
  await app.hears('reload')
  await until('the reload is told', () => {
    const from = told.told.findIndex((line) => line.startsWith('RELOADING=1'))
    return from >= 0 && told.told.slice(from).some((line) => line.startsWith('READY=1'))
  })
  const second = await app.replace()
  await until('the new main process is told', () => told.told.includes(`MAINPID=${second}`))
  assert.equal(told.pids[told.told.indexOf(`MAINPID=${second}`)], first)
  await until('it shows that it lives', () =>
    told.told.some((line, at) => line === 'WATCHDOG=1' && told.pids[at] === second),
  )
  process.kill(second, 'SIGTERM')
  await until('the end is told', () => told.told.includes('STOPPING=1'))
})

test('a supervisor that is killed leaves its port to the next one: no client is refused', async (t) => {
  const told = storingManager(t)
  const port = await freePort()
  const env = { NOTIFY_SOCKET: told.address, PORT: String(port) }
  const script = program(t, FIXED)
  const first = await succession(t, script, env)
  await until('the port is kept', () => told.kept.size === 1)
  const [[name, descriptor]] = [...told.kept] as [[string, number]]
  assert.equal(name, 'handover-1')
  let on = true
  let answered = 0
  let killed = false
  let cut = 0
  const lane = async (): Promise<void> => {
    while (on) {
      const answer = await get({ port }).catch((error: Error & { code?: string }) => error)
      if ('status' in answer) answered += 1
      // What was on its way to a worker when its sender was killed is nobody's.
      else if (answer.code === 'ECONNRESET' && killed) cut += 1
      else throw answer
    }
  }
  const clients = Promise.all(Array.from({ length: 8 }, lane))
  clients.catch(() => {})
  await until('clients are answered', () => answered > 50)
  killed = true
  process.kill(first.master(), 'SIGKILL')
  await until('its workers are gone', () => !first.pids.some(isRunning))
  const second = await succession(t, script, env, { names: name, descriptors: [descriptor] })
  const before = answered
  await until('clients are answered by the next', () => answered > before + 50)
  on = false
  await clients
  assert.ok(cut <= 8, 'only what was on its way in that moment')
  assert.equal(second.port, port)
  assert.deepEqual([...told.kept.keys()], ['handover-1'], 'the same port is kept under the same name')
})

const changes = [
  ['dispatch', 'reuseport', 2],
  ['reuseport', 'dispatch', 2],
  ['reuseport', 'share', 2],
] as const

for (const [before, after, sockets] of changes) {
  test(`the next one may distribute connections in another way: who waits is answered (${before}, then ${after})`, async (t) => {
    const told = storingManager(t)
    const port = await freePort()
    const env = { NOTIFY_SOCKET: told.address, PORT: String(port) }
    const script = program(t, FIXED)
    const first = await succession(t, script, { ...env, DISTRIBUTION: before })
    await until('its sockets are kept', () => told.kept.size === (before === 'reuseport' ? 2 : 1))
    const kept = [...told.kept]
    process.kill(first.master(), 'SIGKILL')
    await until('its workers are gone', () => !first.pids.some(isRunning))
    const waiting = Array.from({ length: 20 }, () => get({ port }))
    const passed = { names: kept.map(([name]) => name).join(':'), descriptors: kept.map(([, fd]) => fd) }
    const second = await succession(t, script, { ...env, DISTRIBUTION: after }, passed)
    assert.equal(second.port, port)
    const answers = await Promise.all([...waiting, ...Array.from({ length: 40 }, () => get({ port }))])
    for (const { body } of answers) assert.ok(second.pids.includes(Number(body)))
    await until('all its sockets are kept', () => told.kept.size === sockets)
  })
}

test('a successor keeps and forgets ports under the names of its predecessor', async (t) => {
  const told = storingManager(t)
  const source = `${FIXED.replace('.listen(', '.unref().listen(')}
import net from 'node:net'
const other = net.createServer().listen(0, '127.0.0.1')
process.on('SIGUSR1', () => other.close())
setInterval(() => {}, 1000)
`
  const app = await succession(t, program(t, source), {
    NOTIFY_SOCKET: told.address,
    PORT: String(await freePort()),
    WORKERS: '1',
  })
  await until('both ports are kept', () => told.kept.size === 2)
  await app.replace()
  process.kill(app.pids[0] as number, 'SIGUSR1')
  await until('one is forgotten', () => told.kept.size === 1)
  assert.deepEqual([...told.kept.keys()], ['handover-1'])
})

test('a port that is opened under a successor has a name of its own', async (t) => {
  const told = storingManager(t)
  const source = `${FIXED}
import net from 'node:net'
let other
process.on('SIGWINCH', () => {
  other = net.createServer().listen(0, '127.0.0.1')
})
process.on('SIGUSR1', () => other.close())
`
  const env = { NOTIFY_SOCKET: told.address, PORT: String(await freePort()), WORKERS: '1' }
  const app = await succession(t, program(t, source), env)
  await until('the port is kept', () => told.kept.size === 1)
  const first = told.kept.get('handover-1')
  await app.replace()
  process.kill(app.pids[0] as number, 'SIGWINCH')
  await until('another is kept', () => told.kept.size === 2)
  process.kill(app.pids[0] as number, 'SIGUSR1')
  await until('it is forgotten', () => told.kept.size === 1)
  assert.deepEqual([...told.kept], [['handover-1', first]])
})

test('ports that only the options of a successor have are kept, too', async (t) => {
  noLeak(t)
  const told = storingManager(t)
  const serviceOf = (supervisor: Supervisor): void => {
    const service = new Service((error) => assert.fail(error), { NOTIFY_SOCKET: told.address })
    t.after(() => service.end())
    service.attend(supervisor)
  }
  const options = { script: program(t, APP) }
  const { supervisor } = await supervise(t, options)
  serviceOf(supervisor)
  const [ours, theirs] = await channelPair(t)
  const [heir] = await Promise.all([
    Supervisor.takeOver(theirs, { ...options, listen: [{ host: '127.0.0.1', port: 0 }] }),
    supervisor.handOverTo(ours),
  ])
  t.after(() => heir.kill())
  serviceOf(heir)
  await until('both are kept', () => told.kept.size === 2)
  assert.deepEqual([...told.kept.keys()], ['handover-1', 'handover-2'])
})

for (const rolling of [false, true]) {
  test(`the manager hears the end of the last reload, also of one that a later one ended (${rolling ? 'rolling' : 'all at once'})`, async (t) => {
    noLeak(t)
    const told = storingManager(t)
    const { supervisor } = await supervise(t, { script: program(t, APP) })
    const service = new Service((error) => assert.fail(error), { NOTIFY_SOCKET: told.address })
    t.after(() => service.end())
    service.attend(supervisor)
    const mute = program(t, 'setInterval(() => {}, 1000)')
    const reloading = once(supervisor, 'reloading')
    const first = assert.rejects(supervisor.reload({ script: mute, rolling }), { code: 'ERR_HANDOVER_SUPERSEDED' })
    await reloading
    const fails = program(t, 'process.exit(1)')
    await assert.rejects(supervisor.reload({ script: fails, rolling, supersede: true }), {
      code: 'ERR_HANDOVER_WORKERS_FAILED',
    })
    await first
    const steps = (): string[] => told.told.flatMap((line) => /^(RELOADING|READY)=1/.exec(line)?.[1] ?? [])
    await until('all is told', () => steps().length === 4)
    assert.deepEqual(steps(), ['RELOADING', 'READY', 'RELOADING', 'READY'])
  })
}
