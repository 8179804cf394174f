import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { type ReloadOptions, Supervisor, type SupervisorEvents } from '../../src/index.js'
import { connect, get } from '../support/client.js'
import { isAlive } from '../support/command.js'
import { noLeak } from '../support/descriptors.js'
import { fixture, scratch } from '../support/paths.js'
import { freePort, program } from '../support/programs.js'
import { type Supervised, supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

/** Answers with its generation and place, and what its environment says; ends at /crash; holds /hang open for ever. */
const APP = `import { createServer } from 'node:http'
const { HANDOVER_GENERATION, HANDOVER_WORKER, WORD = '', PORT = '0' } = process.env
const server = createServer((request, response) => {
  if (request.url === '/crash') process.exit(7)
  if (request.url === '/hang') return response.write('part')
  response.end([HANDOVER_GENERATION, HANDOVER_WORKER, WORD].join(' '))
})
server.listen(Number(PORT), '127.0.0.1')
`

const both = [
  { threads: false, kind: 'processes' },
  { threads: true, kind: 'threads' },
]

/** What the app answers over a connection of its own. */
async function answer({ port }: { port: number }): Promise<string> {
  const { status, body } = await get({ port })
  assert.equal(status, 200)
  return body.trim()
}

/** Asks without a pause until told to stop; every request must be answered. */
function load(app: { port: number }, lanes: number): { stop(): Promise<string[]> } {
  let on = true
  const answers: string[] = []
  const lane = async (): Promise<void> => {
    while (on) answers.push(await answer(app))
  }
  const done = Promise.all(Array.from({ length: lanes }, lane))
  done.catch(() => {})
  return {
    async stop() {
      on = false
      await done
      return answers
    },
  }
}

/** Generations and places of all workers there are. */
function workers({ supervisor }: Supervised): string[] {
  return supervisor.status().workers.map(({ generation, worker }) => `${generation} ${worker}`)
}

/** Names of the steps of reloads, as they come. */
function steps({ supervisor }: Supervised): string[] {
  const told: string[] = []
  for (const name of ['reloading', 'switched', 'reloaded'] as const) {
    supervisor.on(name, ({ generation }: SupervisorEvents[typeof name][0]) => told.push(`${name} ${generation}`))
  }
  return told
}

/** A request that is under way until its client goes. */
async function hanging(t: TestContext, port: number): Promise<() => void> {
  const socket = await connect({ port })
  t.after(() => socket.destroy())
  socket.on('error', () => {}).write('GET /hang HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(socket, 'data')
  return () => void socket.destroy()
}

for (const { threads, kind } of both) {
  test(`no request fails and nothing is left over through ten reloads under load (${kind})`, async (t) => {
    noLeak(t)
    const app = await supervise(t, { script: program(t, APP), workers: 2, threads })
    const pids = new Set(app.pids())
    const requests = load(app, 8)
    for (let generation = 2; generation <= 11; generation++) {
      assert.deepEqual(await app.supervisor.reload(), { generation })
      for (const pid of app.pids()) pids.add(pid)
    }
    const answers = await requests.stop()
    for (const body of answers) assert.match(body, /^([1-9]|1[01]) [12]$/)
    assert.ok(answers.length > 0)
    assert.deepEqual(workers(app), ['11 1', '11 2'])
    assert.match(await answer(app), /^11 /)
    await app.supervisor.stop()
    assert.equal(pids.size, threads ? 1 : 22)
    assert.ok(threads || ![...pids].some(isAlive))
  })
}

test('once the generation has switched no connection goes to the old one', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP), workers: 2 })
  const leave = await hanging(t, app.port)
  const told = steps(app)
  const reloaded = app.supervisor.reload()
  await once(app.supervisor, 'switched')
  for (let i = 0; i < 10; i++) assert.match(await answer(app), /^2 /)
  assert.deepEqual(told, ['reloading 2', 'switched 2'])
  leave()
  await reloaded
  assert.deepEqual(told, ['reloading 2', 'switched 2', 'reloaded 2'])
  assert.deepEqual(workers(app), ['2 1', '2 2'])
})

for (const { threads, kind } of both) {
  test(`the new generation runs what the reload says, and so do restarts after it (${kind})`, async (t) => {
    const app = await supervise(t, { script: program(t, APP), threads, env: { ...process.env, WORD: 'first' } })
    assert.equal(await answer(app), '1 1 first')
    const script = program(t, APP.replace('HANDOVER_WORKER, WORD]', "'changed', WORD]"))
    await app.supervisor.reload({ script, env: { ...process.env, WORD: 'second' } })
    assert.equal(await answer(app), '2 changed second')
    await assert.rejects(get({ port: app.port }, '/crash'))
    assert.equal(await answer(app), '2 changed second')
    await app.supervisor.reload()
    assert.equal(await answer(app), '3 changed second')
  })
}

const failing: [what: string, source: string, options: ReloadOptions, message: RegExp][] = [
  ['throws', `throw new Error('broken on purpose')`, {}, /^generation 2: worker \d ended \(.*\) before all were ready/],
  ['ends', '', {}, /^generation 2: worker \d ended \(exit code 0\)/],
  [
    'never listens',
    'setInterval(() => {}, 1000)',
    { milliseconds: 500 },
    /after 500 ms worker 1 does not listen, worker 2/,
  ],
  [
    'has one worker that does not listen',
    `if (process.env.HANDOVER_WORKER === '2') setInterval(() => {}, 1000)\nelse await import(process.env.APP)`,
    { milliseconds: 4000 },
    /after 4000 ms worker 2 does not listen/,
  ],
  [
    'listens elsewhere',
    `process.env.PORT = process.env.OTHER\nawait import(process.env.APP)`,
    {},
    /on none of the ports/,
  ],
]

for (const { threads, kind } of both) {
  for (const [what, source, options, message] of failing) {
    test(`a new generation that ${what} is ended, and the old one serves on (${kind})`, async (t) => {
      const OTHER = String(await freePort())
      const APP_FILE = program(t, APP)
      const env = { ...process.env, OTHER, APP: APP_FILE }
      const app = await supervise(t, { script: APP_FILE, workers: 2, threads, env })
      const pids = app.pids()
      const requests = load(app, 2)
      await assert.rejects(app.supervisor.reload({ script: program(t, source), ...options }), {
        code: 'ERR_HANDOVER_WORKERS_FAILED',
        message,
      })
      for (const body of await requests.stop()) assert.match(body, /^1 /)
      assert.match(await answer(app), /^1 /)
      assert.deepEqual(app.pids(), pids)
      assert.deepEqual(workers(app), ['1 1', '1 2'])
      await assert.rejects(get({ port: Number(OTHER) }), { code: 'ECONNREFUSED' })
      assert.deepEqual(await app.supervisor.reload({ script: APP_FILE }), { generation: 3 })
      assert.match(await answer(app), /^3 /)
    })
  }
}

test('a port that cannot be opened fails the reload with the reason', async (t) => {
  const taken = await supervise(t, { script: program(t, APP) })
  const app = await supervise(t, { script: program(t, APP) })
  await assert.rejects(app.supervisor.reload({ env: { ...process.env, PORT: String(taken.port) } }), {
    code: 'ERR_HANDOVER_WORKERS_FAILED',
    message: new RegExp(`EADDRINUSE: .* 127.0.0.1:${taken.port}$`),
  })
  assert.equal(await answer(app), '1 1')
})

test('a script that is not there, or an option, is refused, and nothing changes', async (t) => {
  const app = await supervise(t, { script: program(t, APP) })
  const told = steps(app)
  await assert.rejects(app.supervisor.reload({ script: '/no/such/script.mjs' }), /^TypeError: script: there is no file/)
  await assert.rejects(app.supervisor.reload({ script: 'relative.mjs' }), /^TypeError: script: an absolute path/)
  await assert.rejects(app.supervisor.reload({ milliseconds: 0 }), { name: 'RangeError', message: /^milliseconds/ })
  // @ts-expect-error no such option
  await assert.rejects(app.supervisor.reload({ policy: 'round-robin' }), /^TypeError: policy: no such option/)
  assert.deepEqual(told, [])
  assert.equal(await answer(app), '1 1')
})

test('ports of both stay open, one of the old alone closes when it has gone, one of the new alone opens', async (t) => {
  noLeak(t)
  const more = `import { createServer as another } from 'node:http'
for (const port of process.env.MORE.split(' ')) another((_, response) => response.end(port)).listen(Number(port), '127.0.0.1')
`
  const [first, second] = [await freePort(), await freePort()]
  const env = { ...process.env, MORE: String(first) }
  const app = await supervise(t, { script: program(t, APP + more), env })
  await until('it listens twice', () => app.supervisor.status().ports.length === 2)
  const place = app.supervisor.status().ports
  assert.equal(await answer({ port: first }), String(first))
  const leave = await hanging(t, app.port)
  const reloaded = app.supervisor.reload({ env: { ...process.env, MORE: String(second) } })
  await once(app.supervisor, 'switched')
  assert.equal(await answer({ port: second }), String(second))
  assert.equal(app.supervisor.status().ports.length, 3)
  leave()
  await reloaded
  assert.deepEqual(app.supervisor.status().ports, [place[0], { address: '127.0.0.1', family: 'IPv4', port: second }])
  assert.equal(await answer(app), '2 1')
  await assert.rejects(get({ port: first }), { code: 'ECONNREFUSED' })
})

test('a new generation that listens on its second port later has both from the first moment', async (t) => {
  const second = await freePort()
  const late = `${APP}
if (HANDOVER_GENERATION !== '1') await new Promise((resolve) => setTimeout(resolve, 300))
createServer((_, response) => response.end(HANDOVER_GENERATION)).listen(Number(process.env.SECOND), '127.0.0.1')
`
  const app = await supervise(t, { script: program(t, late), env: { ...process.env, SECOND: String(second) } })
  await until('it listens twice', () => app.supervisor.status().ports.length === 2)
  const requests = [load(app, 2), load({ port: second }, 2)]
  await app.supervisor.reload()
  const answers = await Promise.all(requests.map((one) => one.stop()))
  assert.ok(answers.flat().every((body) => /^[12]/.test(body)))
  assert.equal(await answer({ port: second }), '2')
})

test('ports that the supervisor opened itself stay the same, of files too', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const app = await supervise(t, { script: fixture('serve-any.mjs'), preload: false, listen: [{ path }], workers: 2 })
  const before = (await get({ path })).body
  await app.supervisor.reload()
  assert.notEqual((await get({ path })).body, before)
  assert.deepEqual(app.supervisor.status().ports, [path])
})

test('generations drain next to each other, each as long as its own connections need', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP) })
  const leaves: (() => void)[] = []
  const reloads: Promise<unknown>[] = []
  for (let generation = 2; generation <= 4; generation++) {
    leaves.push(await hanging(t, app.port))
    reloads.push(app.supervisor.reload({ drainTimeout: 60_000 }))
    await once(app.supervisor, 'switched')
    assert.match(await answer(app), new RegExp(`^${generation} `))
  }
  assert.deepEqual(workers(app), ['1 1', '2 1', '3 1', '4 1'])
  leaves[1]?.()
  await reloads[1]
  assert.deepEqual(workers(app), ['1 1', '3 1', '4 1'])
  leaves[0]?.()
  leaves[2]?.()
  await Promise.all(reloads)
  assert.deepEqual(workers(app), ['4 1'])
})

test('a drain that takes too long is cut, and the reload is done', async (t) => {
  const app = await supervise(t, { script: program(t, APP) })
  await hanging(t, app.port)
  const cut = once(app.supervisor, 'cut')
  await app.supervisor.reload({ drainTimeout: 100 })
  assert.deepEqual(await cut, [{ worker: 1, connections: 1 }])
  assert.deepEqual(workers(app), ['2 1'])
})

test('a reload during a reload waits until that one has switched', async (t) => {
  const app = await supervise(t, { script: program(t, APP) })
  const told = steps(app)
  const leave = await hanging(t, app.port)
  const reloads = [
    app.supervisor.reload({ env: { ...process.env, WORD: 'a' } }),
    app.supervisor.reload({ script: program(t, `throw new Error('broken on purpose')`) }),
    app.supervisor.reload(),
  ]
  await assert.rejects(reloads[1] as Promise<unknown>)
  assert.deepEqual(await reloads[2], { generation: 4 })
  assert.equal(await answer(app), '4 1 a') // the one that failed leaves no trace
  assert.deepEqual(told, ['reloading 2', 'switched 2', 'reloading 3', 'reloading 4', 'switched 4', 'reloaded 4'])
  leave()
  assert.deepEqual(await reloads[0], { generation: 2 })
})

test('a worker that dies while it drains is not started again; one of the new generation is', async (t) => {
  const app = await supervise(t, { script: program(t, APP) })
  const [old] = app.pids() as [number]
  await hanging(t, app.port)
  const reloaded = app.supervisor.reload()
  await once(app.supervisor, 'switched')
  const [, fresh] = app.pids() as [number, number]
  process.kill(old, 'SIGKILL')
  await reloaded
  process.kill(fresh, 'SIGKILL')
  assert.equal(await answer(app), '2 1')
  const ended = app.events.filter(({ name }) => name === 'ended')
  assert.deepEqual(
    ended.map(({ generation, expected, restartIn }) => [generation, expected, restartIn]),
    [
      [1, true, null],
      [2, false, 100],
    ],
  )
})

test('what an old worker has not claimed goes to the new generation when it dies', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP) })
  const [old] = app.pids() as [number]
  process.kill(old, 'SIGSTOP')
  const answers = [answer(app), answer(app), answer(app)]
  await until('they are on their way', () => app.supervisor.status().workers[0]?.unclaimed === 3)
  const reloaded = app.supervisor.reload()
  await once(app.supervisor, 'switched')
  process.kill(old, 'SIGKILL')
  assert.deepEqual(await Promise.all(answers), ['2 1', '2 1', '2 1'])
  await reloaded
})

test('stop during a reload ends both generations, before the switch and after it', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP) })
  const pids = app.pids()
  app.supervisor.on('started', ({ pid }) => pids.push(pid))
  const reloaded = assert.rejects(app.supervisor.reload({ script: fixture('never-listens.mjs') }), {
    code: 'ERR_HANDOVER_STOPPED',
  })
  await once(app.supervisor, 'reloading')
  await Promise.all([app.supervisor.stop(), reloaded])
  const other = await supervise(t, { script: program(t, APP) })
  pids.push(...other.pids())
  other.supervisor.on('started', ({ pid }) => pids.push(pid))
  await hanging(t, other.port)
  const switched = once(other.supervisor, 'switched')
  const done = other.supervisor.reload({ drainTimeout: 60_000 })
  await switched
  await other.supervisor.stop(100)
  assert.deepEqual(await done, { generation: 2 })
  assert.equal(pids.length, 4)
  assert.ok(!pids.some(isAlive))
  for (const { supervisor } of [app, other]) {
    assert.deepEqual(supervisor.status().workers, [])
    await assert.rejects(supervisor.reload(), { code: 'ERR_HANDOVER_STOPPED' })
  }
})

test('there is nothing to reload before a start; during one, the reload waits for it', async (t) => {
  const supervisor = new Supervisor({ script: program(t, APP) })
  t.after(() => supervisor.kill())
  await assert.rejects(supervisor.reload(), { code: 'ERR_HANDOVER_STOPPED' })
  const started = supervisor.start()
  assert.deepEqual(await supervisor.reload(), { generation: 2 })
  await started
})

test('a policy sees each place once, in the new generation as in the old', async (t) => {
  const seen = new Set<string>()
  const app = await supervise(t, {
    script: program(t, APP),
    workers: 3,
    policy: (_connection, targets) => {
      seen.add(targets.map(({ id }) => id).join(' '))
      return '2'
    },
  })
  assert.equal(await answer(app), '1 2')
  await hanging(t, app.port)
  const reloaded = app.supervisor.reload({ drainTimeout: 200 })
  await once(app.supervisor, 'switched')
  assert.equal(await answer(app), '2 2')
  await reloaded
  assert.equal(await answer(app), '2 2')
  for (const ids of seen) assert.deepEqual(ids.split(' ').sort(), ['1', '2', '3'])
})
