/** Connections that go from worker to worker in mid-conversation lose no byte, and exactly one worker has them. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { noLeak, socketCount } from '../support/descriptors.js'
import { passing, talk, workerOf } from '../support/passing.js'
import { allClosed, heard, said } from '../support/programs.js'
import type { Supervised } from '../support/supervised.js'
import { until } from '../support/wait.js'

/** Waits until the numbers of the workers are these. */
async function counted({ supervisor }: Supervised, open: number[], what: string): Promise<void> {
  const now = (): number[] => supervisor.status().workers.map((worker) => worker.open)
  await until(what, () => JSON.stringify(now()) === JSON.stringify(open)).catch(() => {})
  assert.deepEqual(now(), open, what)
  for (const { unclaimed, queued } of supervisor.status().workers) assert.equal(unclaimed + queued, 0, what)
}

for (const threads of [false, true]) {
  test(`a connection goes to and fro between ${threads ? 'threads' : 'processes'}, with its state and all bytes`, async (t) => {
    noLeak(t)
    const app = await passing(t, { threads })
    const { say, hears, ended, lines } = await talk(t, app.port)
    say('hello')
    let at = workerOf(await hears(1))
    for (let round = 1; round <= 10; round++) {
      const other = 3 - at
      // what follows the order in the same write was read by the old worker, and is answered by the new one
      say(`${JSON.stringify({ as: 'lines', to: { worker: String(other) } })}\nunread ${round}`)
      assert.equal(await hears(round + 1), `${other}:${round + 1}:unread ${round}`)
      at = other
    }
    assert.equal(ended(), false)
    assert.equal(lines.length, 11)
    await counted(app, at === 1 ? [1, 0] : [0, 1], 'it counts where it is')
    assert.equal(
      app.supervisor.status().workers.reduce((sum, { total }) => sum + total, 0),
      11,
    )
  })
}

test('without a name the server that listens on the same port serves it, as if it had just come', async (t) => {
  noLeak(t)
  const app = await passing(t)
  const { say, hears } = await talk(t, app.port)
  say('hello')
  const at = workerOf(await hears(1))
  say(`${JSON.stringify({})}\nagain`)
  assert.equal(await hears(2), `${3 - at}:1:again`)
  await counted(app, at === 1 ? [0, 1] : [1, 0], 'it counts there')
})

test('a state of a mebibyte arrives whole', async (t) => {
  const app = await passing(t)
  const { say, hears } = await talk(t, app.port)
  say({ as: 'lines', pad: 1024 * 1024 })
  say('there')
  assert.match(await hears(1), /^\d:1:there$/)
  assert.deepEqual(await heard(app, 'took'), [{ lines: 0, pad: 1024 * 1024 }])
})

test('a connection that no worker takes goes on where it was, and the error says why', async (t) => {
  noLeak(t)
  const app = await passing(t, { env: { ...process.env, TAKES_NOTHING: '2' } })
  const cases: [object, RegExp][] = [
    [{ as: 'nobody' }, /no other worker that takes "nobody" has room/],
    [{ as: 'lines', to: { worker: '7' } }, /worker 7 is none that takes "lines" and has room/],
    [{ as: 'lines', to: { group: 'g' } }, /no other worker of group "g" that takes "lines" has room/],
  ]
  const { say, hears } = await talk(t, app.port)
  say('first')
  const at = workerOf(await hears(1))
  for (const [index, [order]] of cases.entries()) {
    say(`${JSON.stringify(order)}\nafter ${index}`)
    assert.equal(await hears(2 * index + 2), 'kept ERR_HANDOVER_REFUSED')
    assert.equal(await hears(2 * index + 3), `${at}:${index + 2}:after ${index}`)
  }
  const told = said<{ message: string }>(app, 'kept')
  for (const [index, [, message]] of cases.entries()) assert.match(told[index]?.message ?? '', message)
  await counted(app, at === 1 ? [1, 0] : [0, 1], 'nothing has moved')
})

test('a worker at its limit is handed nothing; when it has room it is', async (t) => {
  noLeak(t)
  const app = await passing(t, { maxConnections: 1 })
  const one = await talk(t, app.port)
  one.say('one')
  const two = await talk(t, app.port)
  two.say('two')
  const at = workerOf(await two.hears(1))
  await one.hears(1)
  two.say({ as: 'lines' })
  assert.equal(await two.hears(2), 'kept ERR_HANDOVER_REFUSED')
  one.socket.destroy()
  await until('there is room', () => app.supervisor.status().workers[2 - at]?.open === 0)
  two.say(`${JSON.stringify({ as: 'lines' })}\nmoved`)
  assert.equal(await two.hears(3), `${3 - at}:2:moved`)
  await counted(app, at === 1 ? [0, 1] : [1, 0], 'it counts there')
})

test('a handler that throws is an uncaught exception, and closes nothing else', async (t) => {
  const app = await passing(t)
  const other = await talk(t, app.port)
  other.say('before')
  await other.hears(1)
  const { say } = await talk(t, app.port)
  say({ as: 'throws' })
  assert.deepEqual(await heard(app, 'uncaught'), ['the handler threw'])
  await heard(app, 'gave')
  other.say('after')
  assert.match(await other.hears(2), /:2:after$/)
})

test('a thousand hand-overs leave no descriptor in any of the three processes', async (t) => {
  noLeak(t)
  const app = await passing(t)
  const clients = await Promise.all(Array.from({ length: 20 }, () => talk(t, app.port)))
  for (const client of clients) client.say('warm')
  await Promise.all(clients.map((client) => client.hears(1)))
  const before = app.pids().map((pid) => socketCount(pid))
  const own = socketCount()
  const all = before.reduce((sum, count) => sum + count, 0)
  await Promise.all(
    clients.map(async (client) => {
      for (let round = 0; round < 50; round++) {
        client.say(`${JSON.stringify({ as: 'lines' })}\nround ${round}`)
        assert.match(await client.hears(round + 2), new RegExp(`^\\d:${round + 2}:round ${round}$`))
      }
    }),
  )
  await until('every copy is closed', () => {
    const now = app.pids().map((pid) => socketCount(pid))
    return now.reduce((sum, count) => sum + count, 0) === all && socketCount() === own
  })
  const { workers } = app.supervisor.status()
  assert.equal(
    workers.reduce((sum, { total }) => sum + total, 0),
    20 + 1000,
  )
  for (const client of clients) client.socket.destroy()
  await allClosed(app.supervisor)
  for (const { open, unclaimed, queued } of app.supervisor.status().workers) {
    assert.deepEqual([open, unclaimed, queued], [0, 0, 0])
  }
})
