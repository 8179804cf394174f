/** WebSockets go from worker to worker of a supervisor in mid-conversation, and their clients notice nothing. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import test, { type TestContext } from 'node:test'
import WebSocket from 'ws'
import { noLeak } from '../support/descriptors.js'
import { fixture } from '../support/paths.js'
import { heard, said } from '../support/programs.js'
import { type Supervised, supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

const script = fixture('ws-moves.mjs')

/** A client that numbers what it says and checks what it hears. */
class Client {
  sent = 0
  answered = 0
  readonly wrong: string[] = []
  readonly #path: string

  constructor(
    t: TestContext,
    port: number,
    id: number,
    readonly ws = new WebSocket(`ws://127.0.0.1:${port}/${id}`, { perMessageDeflate: { threshold: 0 } }),
  ) {
    this.#path = `/${id}`
    t.after(() => ws.terminate())
    ws.on('message', (data) => {
      const expected = `${++this.answered} ${this.#path} number ${this.answered}`
      if (String(data) !== expected) this.wrong.push(`${data} for ${expected}`)
    })
    ws.on('close', (code) => this.wrong.push(`closed with ${code}`))
    ws.on('error', (error) => this.wrong.push(String(error)))
  }

  /** Says something, unless so much is unanswered yet: a slow machine would never catch up. @returns whether it did */
  say(ahead = 20): boolean {
    if (this.sent >= this.answered + ahead) return false
    this.ws.send(`number ${++this.sent}`)
    return true
  }
}

async function clients(t: TestContext, { port }: Supervised, count: number): Promise<Client[]> {
  const made = Array.from({ length: count }, (_, id) => new Client(t, port, id))
  await Promise.all(made.map(({ ws }) => once(ws, 'open')))
  return made
}

test('fifty clients talk on while each goes to and fro between two workers, ten times', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script, workers: 2 })
  const all = await clients(t, app, 50)
  const talking = setInterval(() => {
    for (const client of all) client.say()
  }, 10)
  t.after(() => clearInterval(talking))
  for (let move = 1; move <= 10; move++) {
    for (const { ws } of all) ws.send('go')
    await heard(app, 'moved', 50 * move)
  }
  clearInterval(talking)
  await until('all is answered', () => all.every(({ sent, answered, wrong }) => sent === answered || wrong.length > 0))
  assert.deepEqual(
    all.flatMap(({ wrong }) => wrong),
    [],
  )
  assert.equal(app.lines.filter((line) => line.includes('"closed"')).length, 0)
  const { workers } = app.supervisor.status()
  assert.equal(
    workers.reduce((sum, { open }) => sum + open, 0),
    50,
  )
  for (const { ws } of all) {
    ws.removeAllListeners('close')
    ws.close()
  }
  await heard(app, 'closed', 50)
})

for (const threads of [false, true]) {
  test(`a hundred clients talk on through three reloads (${threads ? 'threads' : 'processes'})`, async (t) => {
    noLeak(t)
    const app = await supervise(t, { script, workers: 2, threads })
    const all = await clients(t, app, 100)
    const talking = setInterval(() => {
      for (const client of all) client.say()
    }, 20)
    t.after(() => clearInterval(talking))
    for (let reload = 1; reload <= 3; reload++) {
      await app.supervisor.reload()
      await heard(app, 'moved', 100 * reload)
    }
    clearInterval(talking)
    await until('all is answered', () =>
      all.every(({ sent, answered, wrong }) => sent === answered || wrong.length > 0),
    )
    assert.deepEqual(
      all.flatMap(({ wrong }) => wrong),
      [],
    )
    assert.equal(said(app, 'moved').length, 300)
    assert.deepEqual(said(app, 'closed'), [])
    for (const { ws } of all) ws.removeAllListeners('close')
  })
}

test('a client that sends more than is read, without a pause, is moved in the middle of it', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script, workers: 2, env: { ...process.env, MOVE_EVERY: '1000' } })
  const [client] = (await clients(t, app, 1)) as [Client]
  // How much is read meanwhile is the machine's: it goes on sending until it has been moved so often.
  const talking = setInterval(() => {
    while (client.say(10_000));
  }, 1)
  t.after(() => clearInterval(talking))
  const moves = await heard<number>(app, 'moved', 3)
  clearInterval(talking)
  await until('all is answered', () => client.answered >= client.sent || client.wrong.length > 0, 30_000)
  assert.deepEqual(client.wrong, [])
  assert.ok(moves.filter((count) => count < client.sent).length >= 2, `at messages ${moves}`)
})

test('a message of 2 MiB that is under way when it moves comes back whole', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script, workers: 2 })
  const ws = new WebSocket(`ws://127.0.0.1:${app.port}/`, { perMessageDeflate: false })
  t.after(() => ws.terminate())
  await once(ws, 'open')
  const message = randomBytes(2 * 1_048_576)
  for (let round = 1; round <= 3; round++) {
    const answer = once(ws, 'message')
    ws.send('go')
    ws.send(message)
    const [data] = (await answer) as [Buffer]
    assert.ok(data.equals(message))
    await heard(app, 'moved', round)
  }
})

test('alone, or with nobody who takes it, a WebSocket stays, and knows why', async (t) => {
  const app = await supervise(t, { script, workers: 1 })
  const [client] = (await clients(t, app, 1)) as [Client]
  client.ws.removeAllListeners('message')
  const answer = once(client.ws, 'message')
  client.ws.send('go')
  assert.equal(String((await answer)[0]), 'stays: ERR_HANDOVER_REFUSED')
})
