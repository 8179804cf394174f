/** A thousand keep-alive connections live through ten reloads: no request fails, and at the end they are the same. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { crowd, nobodyLeft, nothingWrong, reloads } from '../support/crowds.js'
import { noLeak } from '../support/descriptors.js'
import { program } from '../support/programs.js'
import { supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

const CLIENTS = 1_000

const APP = `import { createServer } from 'node:http'
const server = createServer((request, response) => {
  let length = 0
  request.on('data', (piece) => (length += piece.length))
  request.on('end', () => {
    const answer = () => response.end(request.url + ' ' + length)
    if (request.url.endsWith('/slow')) setTimeout(answer, 50)
    else answer()
  })
})
server.keepAliveTimeout = 60_000
server.on('clientError', (error) => say('wrong', String(error)))
server.listen(0, '127.0.0.1')`

test('a thousand keep-alive clients keep their connections through ten reloads, and no request fails', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP), workers: 2 })
  const clients = crowd(t, 'http-crowd.mjs', String(app.port), String(CLIENTS))
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
      await until('a thousand requests more are sent', async () => (await sum()) >= sent + 1_000)
      sent = await sum()
    },
  })
  clients.tell('stop')
  const end = await clients.hears<{ sent: number; open: number }>('stopped')
  assert.equal(end.open, CLIENTS, 'the same connections, all of them')
  t.diagnostic(`${end.sent} requests`)
  nothingWrong(app, clients)
  assert.equal(app.supervisor.status().dispatched, CLIENTS, 'and no others')
  clients.tell('close')
  assert.equal(await clients.ended, 0)
  await nobodyLeft(app)
})
