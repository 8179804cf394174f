/** Workers say that they live: who stops saying so is replaced, and loses nothing that it had not claimed. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import test from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Supervisor, type SupervisorEvents } from '../../src/index.js'
import { WorkerCare } from '../../src/supervisor/care/care.js'
import { settleCare } from '../../src/supervisor/care/care-options.js'
import { Pulse } from '../../src/supervisor/care/pulse.js'
import { Gate } from '../../src/supervisor/workers/gate.js'
import type { Slot } from '../../src/supervisor/workers/slot.js'
import { connect } from '../support/client.js'
import { command, isAlive } from '../support/command.js'
import { noLeak } from '../support/descriptors.js'
import { keepAlive } from '../support/keep-alive.js'
import { isStopped } from '../support/keepers.js'
import { asking } from '../support/lanes.js'
import { root } from '../support/paths.js'
import { program } from '../support/programs.js'
import { type Supervised, supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

/** Answers with its place; /block never lets its event loop turn again, and says so; /hold is answered at SIGUSR2. */
const APP = `import { writeSync } from 'node:fs'
import { createServer } from 'node:http'
const held = []
process.on('SIGUSR2', () => held.forEach((response) => response.end('whole')))
createServer((request, response) => {
  if (request.url === '/block') {
    console.log('blocks')
    for (;;) if (Date.now() < 0) break
  }
  if (request.url === '/hold') return response.write('part') && held.push(response)
  response.end(process.env.HANDOVER_WORKER)
}).listen(0, '127.0.0.1')
`.replace(`console.log('blocks')`, `writeSync(1, 'blocks\\n')`)

const QUICK = { heartbeat: 50, hungAfter: 2_000 }

type Event<Name extends keyof SupervisorEvents> = SupervisorEvents[Name][0]

async function next<Name extends 'hung' | 'replaced' | 'recovered' | 'ended'>(
  { supervisor }: Pick<Supervised, 'supervisor'>,
  name: Name,
): Promise<Event<Name>> {
  const [event] = await once(supervisor, name)
  return event as Event<Name>
}

function statusOf({ supervisor }: Supervised, pid: number) {
  return supervisor.status().workers.find((worker) => worker.pid === pid)
}

test('a worker whose event loop is blocked is replaced; no request fails that it had not claimed', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP), workers: 2, ...QUICK })
  const client = await keepAlive(t, app.port)
  const worker = Number(await client.ask())
  const pid = app.pids()[worker - 1] as number
  const [hung, replaced, ended] = [next(app, 'hung'), next(app, 'replaced'), next(app, 'ended')]
  const blocked = assert.rejects(client.ask('/block'))
  await until('it blocks', () => app.lines.includes('blocks'))
  const load = await asking(app.port, 6)
  const { silent, ...which } = await hung
  assert.deepEqual(which, { worker, pid, generation: 1 })
  assert.ok(silent > QUICK.hungAfter)
  assert.equal(statusOf(app, pid)?.hung, true)
  const { previous, pid: successor } = await replaced
  assert.equal(previous, pid)
  assert.notEqual(successor, pid)
  const { end, expected } = await ended
  assert.deepEqual([end.signal, expected], ['SIGKILL', true])
  await blocked
  assert.ok((await load.stop()).length > 0)
  assert.deepEqual(app.pids().sort(), [app.pids()[0], app.pids()[1]].sort())
  assert.ok(!app.pids().includes(pid))
  assert.deepEqual(
    app.supervisor
      .status()
      .workers.map((one) => one.worker)
      .sort(),
    [1, 2],
  )
})

test('a thread whose event loop is blocked is replaced, too', async (t) => {
  const app = await supervise(t, { script: program(t, APP), workers: 2, threads: true, ...QUICK })
  const client = await keepAlive(t, app.port)
  const replaced = next(app, 'replaced')
  const ended = next(app, 'ended')
  const worker = Number(await client.ask())
  client.ask('/block').catch(() => {})
  assert.equal((await replaced).worker, worker)
  assert.equal((await ended).worker, worker)
  const load = await asking(app.port, 2)
  assert.ok((await load.stop()).every((body) => body === '1' || body === '2'))
})

test('a stopped worker is replaced while it is stopped; what it had not claimed goes to others', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP), ...QUICK })
  const [pid] = app.pids() as [number]
  const hung = next(app, 'hung')
  process.kill(pid, 'SIGSTOP')
  const load = await asking(app.port, 4) // it is the only worker: these wait for its successor
  assert.equal((await hung).pid, pid)
  assert.equal((await next(app, 'ended')).end.signal, 'SIGKILL')
  assert.ok((await load.stop()).length >= 4)
  assert.ok(!isAlive(pid))
})

test('a hung worker that goes on keeps what it has open, and drains', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP), ...QUICK, drainTimeout: 30_000 })
  const [pid] = app.pids() as [number]
  const socket = await connect({ port: app.port })
  t.after(() => socket.destroy())
  let text = ''
  socket.on('data', (piece: Buffer) => {
    text += piece
  })
  socket.write('GET /hold HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  await until('it is under way', () => text.includes('part'))
  const [hung, recovered, replaced] = [next(app, 'hung'), next(app, 'recovered'), next(app, 'replaced')]
  process.kill(pid, 'SIGSTOP')
  await hung
  process.kill(pid, 'SIGCONT')
  assert.equal((await recovered).worker, 1)
  assert.equal((await replaced).previous, pid)
  await until('it drains', () => statusOf(app, pid)?.state === 'draining')
  process.kill(pid, 'SIGUSR2')
  await once(socket, 'end')
  assert.match(text, /part[\s\S]*whole/)
  await until('it is gone', () => statusOf(app, pid) === undefined)
})

test('a worker that hangs while it drains is ended', async (t) => {
  const app = await supervise(t, { script: program(t, APP), ...QUICK, drainTimeout: 30_000 })
  const [pid] = app.pids() as [number]
  const socket = await connect({ port: app.port })
  t.after(() => socket.destroy())
  socket.on('error', () => {}).write('GET /hold HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(socket, 'data')
  const reloaded = app.supervisor.reload()
  await once(app.supervisor, 'switched')
  process.kill(pid, 'SIGSTOP')
  await reloaded
  assert.ok(!isAlive(pid))
})

test('where the successor does not get ready, the hung worker is ended all the same, and its place filled again', async (t) => {
  const script = program(t, APP)
  const app = await supervise(t, { script, ...QUICK })
  const [pid] = app.pids() as [number]
  const notReplaced = once(app.supervisor, 'notReplaced')
  writeFileSync(script, `throw new Error('broken on purpose')`)
  process.kill(pid, 'SIGSTOP')
  const load = await asking(app.port, 2)
  const [{ worker, error }] = (await notReplaced) as [Event<'notReplaced'>]
  assert.equal(worker, 1)
  assert.match(error.message, /worker 1 ended \(exit code 1\)/)
  writeFileSync(script, APP)
  await until('its place is filled', () => app.supervisor.status().workers.some((one) => one.ready && one.pid !== pid))
  assert.ok((await load.stop()).every((body) => body === '1'))
  assert.ok(!isAlive(pid))
  const ended = app.events.filter(({ name }) => name === 'ended')
  assert.ok(ended.some((event) => event.pid === pid && event.expected === false && event.restartIn === 100))
})

test('one that hangs while it starts has as long as others to get ready; then it is killed, and nobody prepares another', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  let now = 0
  t.mock.method(performance, 'now', () => now)
  const killed: number[] = []
  const told: unknown[] = []
  const place = (number: number): Slot =>
    ({
      number,
      pid: 10 * number,
      generation: 1,
      state: 'starting',
      pulse: new Pulse(),
      target: { beats: true },
      kill: () => killed.push(number),
    }) as unknown as Slot
  const slots = [place(1), place(2), place(3)] // 2 beats, and 3 is of a generation that gets ready, which is judged elsewhere
  const care = new WorkerCare(settleCare({}, false), {
    slots: () => slots,
    serves: ({ number }) => number !== 3,
    gate: new Gate(),
    suspend: () => {},
    replace: () => assert.fail('no other is prepared'),
    tell: (name, { worker }) => told.push([name, worker]),
  })
  care.start()
  t.after(() => care.stop())
  const pass = async (seconds: number): Promise<void> => {
    for (let i = 0; i < seconds; i++) {
      now += 1_000
      t.mock.timers.tick(1_000)
      care.hears(slots[1] as Slot, { type: 'beat', lag: 0, memory: 1, heap: 1, cpu: 1 })
      await new Promise(setImmediate)
    }
  }
  await pass(60)
  assert.deepEqual([killed, told], [[], []])
  await pass(3)
  assert.deepEqual([killed, told], [[1], [['hung', 1]]])
})

test('a worker under a debugger is never hung', async (t) => {
  const groups = { looked: { execArgv: ['--inspect=127.0.0.1:0'] }, plain: {} }
  const app = await supervise(t, { script: program(t, APP), groups, ...QUICK }, 2)
  const hung: number[] = []
  app.supervisor.on('hung', ({ worker }) => hung.push(worker))
  for (const pid of app.pids()) process.kill(pid, 'SIGSTOP')
  await until('one is hung', () => hung.length > 0) // both are as silent, and looked at in order
  assert.deepEqual(hung, [2])
})

test('a master that was suspended itself takes nobody for hung', async (t) => {
  const main = `import { Supervisor } from ${JSON.stringify(join(root, 'dist/src/index.js'))}
const supervisor = new Supervisor({ script: process.argv[2], workers: 2, heartbeat: 50, hungAfter: 1_500 })
for (const name of ['hung', 'ended']) supervisor.on(name, (event) => say(name, event))
await supervisor.start()
process.on('SIGTERM', () => supervisor.kill())
say('ready')
setInterval(() => say('tick', performance.now()), 50).unref()
`
  const master = command(t, process.execPath, [program(t, main), program(t, APP)])
  await master.line(/"ready"/)
  const pid = master.child.pid as number
  for (let i = 0; i < 2; i++) {
    process.kill(pid, 'SIGSTOP')
    await until('it is stopped', () => isStopped(readFileSync(`/proc/${pid}/stat`, 'utf8')))
    await delay(3_000) // twice as long as a worker may be silent
    process.kill(pid, 'SIGCONT')
    const ticks = master.said().split('"tick"').length
    await until('it has looked at them', () => master.said().split('"tick"').length > ticks + 50)
  }
  assert.ok(!/"hung"|"ended"/.test(master.said()), master.said())
  master.child.kill('SIGTERM')
  assert.equal(await master.ended, 0)
})

test('status tells how workers are; without heartbeats, nothing of that', async (t) => {
  const app = await supervise(t, { script: program(t, APP), heartbeat: 50 })
  await until('it has beaten', () => app.supervisor.status().workers[0]?.memory !== null)
  const [worker] = app.supervisor.status().workers
  assert.ok((worker?.memory ?? 0) > 10e6)
  assert.ok((worker?.lag ?? -1) >= 0)
  assert.ok((worker?.cpu ?? -1) >= 0)
  assert.ok(Math.abs(Date.now() - (worker?.since ?? 0)) < 60_000)
  const silent = await supervise(t, { script: program(t, APP), heartbeat: false })
  const [none] = silent.supervisor.status().workers
  assert.deepEqual([none?.lag, none?.memory, none?.cpu, none?.hung], [null, null, null, false])
})

test('beats keep no program alive', async (t) => {
  const source = `${APP}setTimeout(() => process.exit(3), 30_000).unref()\n`.replace('.listen(0', '.unref().listen(0')
  const supervisor = new Supervisor({ script: program(t, source), heartbeat: 5 })
  supervisor.on('line', () => {})
  t.after(() => supervisor.kill())
  const ended = next({ supervisor }, 'ended')
  await supervisor.start()
  assert.deepEqual((await ended).end, { code: 0, signal: null })
})

test('options that make no sense together are refused by name', () => {
  const script = '/x.mjs'
  assert.throws(
    () => new Supervisor({ script, heartbeat: 1000, hungAfter: 2000 }),
    /^RangeError: hungAfter: at least 3000 ms, 3 times `heartbeat`, which is 1000 ms, not 2000 ms/,
  )
  assert.throws(() => new Supervisor({ script, heartbeat: false, maxLag: 100 }), /^TypeError: maxLag: not without/)
  assert.throws(() => new Supervisor({ script, heartbeat: 0 }), /^RangeError: heartbeat/)
  assert.throws(() => new Supervisor({ script, maxMemory: -1 }), /^RangeError: maxMemory/)
  assert.throws(() => new Supervisor({ script, crashLoop: { deaths: 0 } }), /^RangeError: crashLoop.deaths/)
})
