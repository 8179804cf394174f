/** The program's own view of its worker: who it is, and messages to and from the master. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { Supervisor, type SupervisorOptions, worker } from '../../src/index.js'
import { MESSAGE_BYTES_MAX } from '../../src/limits.js'
import { isAlive } from '../support/command.js'
import { noLeak } from '../support/descriptors.js'
import { root } from '../support/paths.js'
import { heard, plainly, program } from '../support/programs.js'
import { type Supervised, supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

const LIBRARY = JSON.stringify(join(root, 'dist/src/index.js'))

/** Listens, and sends back what it is sent, with who sent it. */
const APP = `import { createServer } from 'node:http'
import { worker } from ${LIBRARY}
createServer((_, response) => response.end()).listen(0, '127.0.0.1')
`
const ECHO = `${APP}worker.on('message', (message, from) => worker.send({ echo: message, from }))\n`

interface Told {
  worker: number
  message: unknown
}

/** A supervised app, and what its workers send, from the start. */
async function messaging(
  t: TestContext,
  source: string,
  options: Partial<SupervisorOptions> = {},
): Promise<Supervised & { told: Told[] }> {
  const app = await supervise(t, { script: program(t, source), ...options })
  const told: Told[] = []
  app.supervisor.on('message', ({ worker, message }) => told.push({ worker, message }))
  return { ...app, told }
}

for (const threads of [false, true]) {
  const kind = threads ? 'threads' : 'processes'

  test(`messages go both ways, each once and in order (${kind})`, async (t) => {
    noLeak(t)
    const app = await messaging(t, ECHO, { workers: 2, threads })
    for (let i = 0; i < 500; i++) assert.equal(app.supervisor.send(1 + (i % 2), { i }), true)
    await until('all come back', () => app.told.length === 500)
    for (const number of [1, 2]) {
      const own = app.told.filter((one) => one.worker === number).map(({ message }) => message)
      const sent = Array.from({ length: 250 }, (_, i) => ({ echo: { i: 2 * i + number - 1 }, from: null }))
      assert.deepEqual(own, sent)
    }
  })

  test(`a worker knows its place, generation, group and pid (${kind})`, async (t) => {
    const say = `${APP}const { id, generation, group, pid } = worker
worker.on('message', () => worker.send({ id, generation, group, pid }))\n`
    const both = await supervise(t, { script: program(t, say), threads, workers: 1, groups: { shop: {} } }, 2)
    const told: unknown[] = []
    both.supervisor.on('message', ({ message }) => told.push(message))
    await both.supervisor.reload()
    assert.equal(both.supervisor.broadcast('who?'), 2)
    await until('both say', () => told.length === 2)
    const { workers } = both.supervisor.status()
    const expected = workers.map((one) => ({ id: one.worker, generation: 2, group: one.group, pid: one.pid }))
    assert.deepEqual(new Set(told), new Set(expected))
  })
}

test('a broadcast of a worker reaches all others, and says who it was', async (t) => {
  const source = `${APP}worker.on('message', (message, from) => {
  if (message === 'go') worker.broadcast('hello')
  else worker.send([message, from])
})\n`
  const app = await messaging(t, source, { workers: 3 })
  app.supervisor.send(2, 'go')
  await until('both say', () => app.told.length === 2)
  assert.deepEqual(app.told.map((one) => one.worker).sort(), [1, 3])
  assert.deepEqual(app.told[0]?.message, ['hello', 2])
})

test('what comes before the program listens is kept for it', async (t) => {
  const source = `${APP}setTimeout(() => worker.once('message', (first) => {
  worker.on('message', (second) => worker.send([first, second]))
}), 200)\n`
  const supervisor = new Supervisor({ script: program(t, source) })
  t.after(() => supervisor.kill())
  supervisor.once('started', () => {
    supervisor.send(1, 'one')
    supervisor.send(1, 'two')
  })
  const message = once(supervisor, 'message')
  await supervisor.start()
  assert.deepEqual(await message, [{ worker: 1, generation: 1, message: ['one', 'two'] }])
})

test('a message may have 65,280 bytes as JSON; one more, and what JSON cannot say, is refused', async (t) => {
  const app = await messaging(t, ECHO.replace('{ echo: message, from }', 'message'))
  const largest = 'x'.repeat(MESSAGE_BYTES_MAX - 2)
  app.supervisor.send(1, largest)
  await until('it comes back', () => app.told.length === 1)
  assert.equal(app.told[0]?.message, largest)
  assert.throws(() => app.supervisor.send(1, `${largest}x`), /^RangeError: message: at most 65280 bytes as JSON/)
  assert.throws(() => app.supervisor.broadcast(`${largest}x`), /^RangeError: message: at most 65280/)
  assert.throws(() => app.supervisor.send(1, undefined), /^TypeError: message: what JSON can say, not undefined/)
  assert.throws(() => app.supervisor.send(1, 10n), /^TypeError: message: JSON cannot say it/)
  assert.throws(() => app.supervisor.send(2, 'x'), /^RangeError: worker: the number of a place, not 2/)
})

test('a worker that does not read fills a bounded queue, which the sender is told, and still gets its drain', async (t) => {
  noLeak(t)
  const app = await messaging(t, ECHO)
  const [pid] = app.pids() as [number]
  process.kill(pid, 'SIGSTOP')
  const piece = 'x'.repeat(60_000)
  const fill = (): void => {
    for (let i = 0; i < 100; i++) app.supervisor.send(1, piece)
  }
  assert.throws(fill, { code: 'ERR_HANDOVER_OUTBOX_FULL' })
  assert.equal(app.supervisor.broadcast(piece), 0)
  const stopped = app.supervisor.stop()
  process.kill(pid, 'SIGCONT')
  await stopped
  assert.ok(!isAlive(pid))
})

test('a master that does not read fills a bounded queue of the worker’s, which is told', async (t) => {
  const source = `${APP}worker.on('message', () => {
  const piece = 'x'.repeat(60_000)
  try {
    for (let i = 0; i < 1000; i++) worker.send(piece)
  } catch (error) {
    say('full', error.code)
  }
})\n`
  const app = await messaging(t, source)
  app.supervisor.send(1, 'go')
  assert.deepEqual(await heard(app, 'full'), ['ERR_HANDOVER_OUTBOX_FULL'])
})

test('a worker that is gone hears nothing: false; its successor does', async (t) => {
  const app = await messaging(t, ECHO)
  process.kill(app.pids()[0] as number, 'SIGKILL')
  await once(app.supervisor, 'ended')
  assert.equal(app.supervisor.send(1, 'x'), false)
  assert.equal(app.supervisor.broadcast('x'), 0)
  await once(app.supervisor, 'ready')
  assert.equal(app.supervisor.send(1, 'again'), true)
  await until('it answers', () => app.told.length === 1)
  assert.deepEqual(app.told[0]?.message, { echo: 'again', from: null })
  await app.supervisor.stop()
  assert.equal(app.supervisor.send(1, 'x'), false)
})

test('listening to messages keeps a program alive, as it does in a child; no longer once it is to drain', async (t) => {
  const jobs = `import { worker } from ${LIBRARY}
worker.on('message', (message) => worker.send(message))
say('listens')\n`
  const groups = { jobs: { script: program(t, jobs) } }
  const supervisor = new Supervisor({ script: program(t, APP), workers: 1, groups })
  t.after(() => supervisor.kill())
  const lines: string[] = []
  supervisor.on('line', ({ text }) => lines.push(text))
  await supervisor.start()
  await heard({ lines }, 'listens')
  for (let i = 0; i < 3; i++) {
    const message = once(supervisor, 'message')
    assert.equal(supervisor.send(2, i), true)
    assert.deepEqual(await message, [{ worker: 2, generation: 1, message: i }])
  }
  await supervisor.stop()
})

test('outside of a supervisor there is no worker, nor in a program that a worker starts', async (t) => {
  assert.equal(worker, null)
  const alone = plainly(t, program(t, `import { worker } from ${LIBRARY}\nsay('worker', worker)\n`), {
    HANDOVER_WORKER: '1',
  })
  assert.deepEqual(await heard(alone, 'worker'), [null])
  const child = program(
    t,
    `import { inherited, worker } from ${LIBRARY}
say('child', [worker, process.env.HANDOVER_WORKER ?? null])
await inherited().send('hello')
process.exit()\n`,
  )
  const parent = `${APP}import { spawn } from ${LIBRARY}
const { channel } = spawn(process.execPath, [${JSON.stringify(child)}])
say('heard', (await channel.receive()).message)\n`
  const app = await messaging(t, parent)
  assert.deepEqual(await heard(app, 'heard'), ['hello'])
  assert.deepEqual(await heard(app, 'child'), [[null, null]])
})

test('a program without the preload is a worker as well', async (t) => {
  const source = `import { createServer } from 'node:http'
import { serve, worker } from ${LIBRARY}
serve(createServer((_, response) => response.end()), { port: 0, host: '127.0.0.1' })
worker.on('message', (message) => worker.send(message))
worker.ready()\n`
  const app = await messaging(t, source, { preload: false, heartbeat: 50 })
  app.supervisor.send(1, 'x')
  await until('it answers', () => app.told.length === 1)
  await until('it beats', () => app.supervisor.status().workers[0]?.memory !== null)
})
