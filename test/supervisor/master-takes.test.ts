/** Workers give connections back to the master, which goes on with them or hands them out again. */
import assert from 'node:assert/strict'
import type net from 'node:net'
import test from 'node:test'
import { assertSockets, noLeak, socketCount } from '../support/descriptors.js'
import { passing, talk, workerOf } from '../support/passing.js'
import { heard } from '../support/programs.js'
import { until } from '../support/wait.js'

const BACK = `${JSON.stringify({ as: 'desk', to: 'master' })}\n`

test('a connection goes back to the master with its state and what was read, and out again', async (t) => {
  noLeak(t)
  const app = await passing(t)
  const seen: unknown[] = []
  const end = app.supervisor.onHandOver<{ lines: number }>('desk', (socket, state) => {
    seen.push(state)
    socket.write('desk\n')
    socket.once('data', (bytes) => {
      socket.unshift(bytes)
      void app.supervisor.handOver(socket, { as: 'lines', state })
    })
  })
  const client = await talk(t, app.port)
  client.say('one')
  await client.hears(1)
  client.say(`${BACK}behind`)
  assert.equal(await client.hears(2), 'desk')
  assert.match(await client.hears(3), /^\d:2:behind$/)
  assert.deepEqual(seen, [{ lines: 1 }])
  const open = (): number => app.supervisor.status().workers.reduce((sum, one) => sum + one.open, 0)
  await until('one worker has it', () => open() === 1)
  client.socket.destroy()
  await until('none has', () => open() === 0)
  end()
})

test('what the master does not take goes on in its worker', async (t) => {
  noLeak(t)
  const app = await passing(t)
  const client = await talk(t, app.port)
  client.say('one')
  const worker = workerOf(await client.hears(1))
  client.say(BACK.trimEnd())
  assert.equal(await client.hears(2), 'kept ERR_HANDOVER_REFUSED')
  const [{ message }] = (await heard(app, 'kept')) as [{ message: string }]
  assert.match(message, /the master takes no connection as "desk"/)
  client.say('two')
  assert.equal(await client.hears(3), `${worker}:2:two`)
})

test('a hundred that go back and forth leave nothing behind', async (t) => {
  noLeak(t)
  const app = await passing(t)
  app.supervisor.onHandOver('desk', (socket: net.Socket, state) => {
    void app.supervisor.handOver(socket, { as: 'lines', state })
  })
  const client = await talk(t, app.port)
  client.say('first')
  await client.hears(1)
  const before = socketCount()
  for (let i = 0; i < 100; i++) {
    client.say(`${BACK}${i}`)
    assert.match(await client.hears(i + 2), new RegExp(`^\\d:${i + 2}:${i}$`))
  }
  await assertSockets('self', before, 'after a hundred')
})

test('a handler is one, and is what it is said to be', async (t) => {
  const app = await passing(t)
  const { supervisor } = app
  supervisor.onHandOver('desk', () => {})
  assert.throws(() => supervisor.onHandOver('desk', () => {}), {
    name: 'TypeError',
    message: /^as: "desk" has a handler/,
  })
  assert.throws(() => supervisor.onHandOver('', () => {}), { name: 'TypeError', message: /^as: a text/ })
  assert.throws(() => supervisor.onHandOver('x', 5 as never), {
    name: 'TypeError',
    message: /^taken: a function, not 5/,
  })
})
