/** First lines at a port: the longest start wins; a line that is too long, or does not come, closes the connection with a reason. */
import assert from 'node:assert/strict'
import type net from 'node:net'
import test from 'node:test'
import { firstLine } from '../../src/handshake/first-line.js'
import { lookedAt } from '../support/looked-at.js'
import { closed } from '../support/programs.js'
import { until } from '../support/wait.js'

const routes = { GET: 'any', 'GET /': 'web', 'GET /api': 'api', 'GET /api/v2': 'new' }

/** All that a client hears until its connection has ended. */
async function heard(client: net.Socket): Promise<string> {
  let text = ''
  client.on('data', (piece: Buffer) => {
    text += piece.toString('latin1')
  })
  await closed(client)
  return text
}

test('the longest prefix wins, in whatever pieces the line comes, and the line is all there for its reader', async (t) => {
  const { client, decided, unread, handshake } = lookedAt(t, { inspect: firstLine({ routes }) })
  const lines = { 'GET /api/v2/x': 'new', 'GET /api/v1': 'api', 'GET /ap': 'web', 'GET ': 'any', 'GET /api/v2': 'new' }
  for (const [index, [line, group]] of Object.entries(lines).entries()) {
    const cut = index === 0 ? 8 : index + 2 // a shorter prefix is there first, and must not win
    const socket = await client(line.slice(0, cut))
    socket.setNoDelay(true)
    await until('it is undecided', () => handshake.count === 1)
    socket.write(`${line.slice(cut)}\nbehind`)
    await until('it is decided', () => decided.length === index + 1)
    assert.deepEqual(decided[index]?.note.route, { group })
    await until('all of it has come', () => socket.bytesWritten === line.length + '\nbehind'.length)
    assert.equal(unread(index), `${line}\nbehind`)
  }
})

test('a first line over its limit is closed, with a reason, whether its end has come or not', async (t) => {
  const { client, setbacks, decided, handshake } = lookedAt(t, { inspect: firstLine({ routes, most: 32 }) })
  for (const line of ['GET /'.padEnd(33, 'x'), `${'GET /'.padEnd(40, 'x')}\n`]) {
    assert.equal(await heard(await client(line)), '')
  }
  const slow = await client()
  slow.setNoDelay(true)
  const end = heard(slow)
  for (let sent = 0; sent < 33 && setbacks.length < 3; sent++) slow.write('x')
  assert.equal(await end, '')
  const reason = 'a first line of more than 32 bytes'
  assert.deepEqual(setbacks, Array(3).fill({ setback: 'refused', reason, peer: '127.0.0.1' }))
  await client(`${'GET /api'.padEnd(31, 'x')}\n`)
  await until('one of exactly so many is decided', () => decided.length === 1)
  assert.equal(handshake.count, 0)
})

test('a first line that does not come, or not to its end, is closed when its time is up, with a reason', async (t) => {
  const { client, setbacks, decided, handshake } = lookedAt(t, { inspect: firstLine({ routes }), time: 50 })
  const idle = await Promise.all([client(), client('GET /api')])
  assert.deepEqual(await Promise.all(idle.map(heard)), ['', ''])
  const reason = 'nothing could be decided within 50 ms'
  assert.deepEqual(setbacks, Array(2).fill({ setback: 'late', reason, peer: '127.0.0.1' }))
  assert.deepEqual([decided.length, handshake.count], [0, 0])
})
