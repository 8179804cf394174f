/** A thousand WebSockets live through ten reloads: every message once and in order, in both directions, no disconnect. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { crowd, nobodyLeft, nothingWrong, reloads } from '../support/crowds.js'
import { noLeak } from '../support/descriptors.js'
import { fixture } from '../support/paths.js'
import { supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

const CLIENTS = 1_000

test('a thousand WebSockets live through ten reloads, and not one message is lost, doubled or out of order', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: fixture('ws-counted.mjs'), workers: 2 })
  const clients = crowd(t, 'ws-crowd.mjs', `ws://127.0.0.1:${app.port}`, String(CLIENTS))
  await clients.hears('open')
  let sent = 0
  let asked = 0
  const sum = async (): Promise<number> => {
    clients.tell('sum')
    return (await clients.hears<{ sent: number }>('sum', ++asked)).sent
  }
  await reloads(app, clients, {
    times: 10,
    connections: CLIENTS,
    between: async () => {
      await until('a thousand messages more are sent', async () => (await sum()) >= sent + 1_000)
      sent = await sum()
    },
  })
  clients.tell('stop')
  const end = await clients.hears<{ sent: number; open: number; least: number }>('stopped')
  assert.equal(end.open, CLIENTS)
  assert.ok(end.least > 0, 'each was answered')
  t.diagnostic(`${end.sent} messages`)
  nothingWrong(app, clients)
  clients.tell('close')
  assert.equal(await clients.ended, 0)
  nothingWrong(app, clients)
  await nobodyLeft(app)
})
