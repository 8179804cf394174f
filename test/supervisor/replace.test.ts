/** A successor takes the place of one worker first; then that one drains. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import test, { type TestContext } from 'node:test'
import { Supervisor } from '../../src/index.js'
import { connect, get } from '../support/client.js'
import { isAlive } from '../support/command.js'
import { noLeak } from '../support/descriptors.js'
import { keepAlive } from '../support/keep-alive.js'
import { asking, keeping } from '../support/lanes.js'
import { program } from '../support/programs.js'
import { supervise } from '../support/supervised.js'

const APP = `import { createServer } from 'node:http'
createServer((request, response) => {
  if (request.url === '/hang') return response.write('part')
  response.end(process.env.HANDOVER_WORKER + ' ' + process.pid)
}).listen(0, '127.0.0.1')
`

async function hanging(t: TestContext, port: number): Promise<() => void> {
  const socket = await connect({ port })
  t.after(() => socket.destroy())
  socket.on('error', () => {}).write('GET /hang HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(socket, 'data')
  return () => void socket.destroy()
}

for (const threads of [false, true]) {
  test(`every worker in turn is replaced under load, and nothing fails (${threads ? 'threads' : 'processes'})`, async (t) => {
    noLeak(t)
    const app = await supervise(t, { script: program(t, APP), workers: 3, threads })
    const before = app.pids()
    const loads = [await keeping(t, app.port, 4), await asking(app.port, 4)]
    for (const worker of [1, 2, 3]) await app.supervisor.replace(worker)
    for (const load of loads) assert.ok((await load.stop()).length > 0)
    const { workers } = app.supervisor.status()
    assert.deepEqual(
      workers.map(({ worker, generation }) => [worker, generation]),
      [1, 2, 3].map((worker) => [worker, 1]),
    )
    if (!threads) assert.ok(!before.some(isAlive))
    await app.supervisor.stop()
  })
}

test('while the one before drains, both are listed; a policy sees the place once', async (t) => {
  const seen = new Set<string>()
  const app = await supervise(t, {
    script: program(t, APP),
    workers: 2,
    policy: (_connection, targets) => {
      seen.add(targets.map(({ id }) => id).join(' '))
      return '1'
    },
  })
  const [pid] = app.pids() as [number]
  const leave = await hanging(t, app.port)
  const replaced = once(app.supervisor, 'replaced')
  const done = app.supervisor.replace(1)
  assert.equal(app.supervisor.replace(1) instanceof Promise, true) // the same one: not a third worker
  const [event] = await replaced
  const { body } = await get({ port: app.port })
  assert.deepEqual(event, { worker: 1, pid: Number(body.split(' ')[1]), generation: 1, previous: pid })
  assert.deepEqual(
    app.supervisor
      .status()
      .workers.map(({ worker, state }) => `${worker} ${state}`)
      .sort(),
    ['1 draining', '1 ready', '2 ready'],
  )
  leave()
  await done
  assert.equal(app.supervisor.status().workers.length, 2)
  for (const ids of seen) assert.equal(ids.split(' ').length, 2)
})

test('a successor that does not get ready leaves no trace, and who served does so still', async (t) => {
  noLeak(t)
  const script = program(t, APP)
  const app = await supervise(t, { script, workers: 2 })
  const client = await keepAlive(t, app.port)
  const before = await client.ask()
  writeFileSync(script, `throw new Error('broken on purpose')`)
  const ended = once(app.supervisor, 'ended')
  await assert.rejects(app.supervisor.replace(1), {
    code: 'ERR_HANDOVER_WORKERS_FAILED',
    message: /worker 1 ended \(exit code 1\) before all were ready/,
  })
  const [{ expected, restartIn }] = await ended
  assert.deepEqual([expected, restartIn], [false, null])
  assert.equal(await client.ask(), before)
  assert.equal(app.supervisor.status().workers.length, 2)
  writeFileSync(script, APP)
  await app.supervisor.replace(1)
})

test('a reload meanwhile replaces it, too', async (t) => {
  noLeak(t)
  const script = program(t, APP)
  const app = await supervise(t, { script })
  writeFileSync(script, 'setInterval(() => {}, 1000)') // it never listens
  const started = once(app.supervisor, 'started')
  const replaced = assert.rejects(app.supervisor.replace(1), { message: 'a reload replaces all workers' })
  const [{ pid }] = await started
  await app.supervisor.reload({ script: program(t, APP) })
  await replaced
  assert.ok(!isAlive(pid))
  const { workers } = app.supervisor.status()
  assert.deepEqual(
    workers.map(({ generation, worker }) => [generation, worker]),
    [[2, 1]],
  )
})

test('a successor whose place is scaled away is ended at once, and not when it is ready', async (t) => {
  noLeak(t)
  const script = program(t, APP)
  const app = await supervise(t, { script, workers: 2 })
  writeFileSync(script, 'setInterval(() => {}, 1000)') // it never listens
  const started = once(app.supervisor, 'started')
  const replaced = assert.rejects(app.supervisor.replace(2), { message: 'its place is no more' })
  const [{ pid }] = await started
  await app.supervisor.scale(1)
  await replaced
  assert.ok(!isAlive(pid))
  assert.deepEqual(
    app.supervisor.status().workers.map(({ worker, state }) => `${worker} ${state}`),
    ['1 ready'],
  )
})

test('stop ends a successor as well', async (t) => {
  noLeak(t)
  const script = program(t, APP)
  const app = await supervise(t, { script })
  writeFileSync(script, 'setInterval(() => {}, 1000)')
  const started = once(app.supervisor, 'started')
  const replaced = assert.rejects(app.supervisor.replace(1), { code: 'ERR_HANDOVER_STOPPED' })
  const [{ pid }] = await started
  await app.supervisor.stop()
  await replaced
  assert.ok(!isAlive(pid))
})

test('there is nothing to replace before a start, after a stop, and at no place', async (t) => {
  const idle = new Supervisor({ script: program(t, APP) })
  await assert.rejects(idle.replace(1), { code: 'ERR_HANDOVER_STOPPED' })
  const app = await supervise(t, { script: program(t, APP) })
  await assert.rejects(app.supervisor.replace(2), /^RangeError: worker: the number of a place, not 2/)
  await app.supervisor.stop()
  await assert.rejects(app.supervisor.replace(1), { code: 'ERR_HANDOVER_STOPPED' })
})
