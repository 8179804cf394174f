/** What a WebSocket may not do it may not do after a move either, and what cannot move says why. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import https from 'node:https'
import net from 'node:net'
import { Duplex } from 'node:stream'
import test from 'node:test'
import WebSocket, { WebSocketServer } from 'ws'
import { putTogether, ready, takeApart } from '../../src/websocket/index.js'
import { noLeak } from '../support/descriptors.js'
import { error } from '../support/peers.js'
import { certificate } from '../support/programs.js'
import {
  BINARY,
  CLOSE,
  CONTINUATION,
  elsewhere,
  frame,
  hasRead,
  heard,
  moveHere,
  PING,
  pair,
  rawPair,
  server,
  socketOf,
  TEXT,
  turns,
} from '../support/websockets.js'

const refused = (says: RegExp) => error('ERR_HANDOVER_NOT_MOVABLE', says, /stays where it is/)

/** Streams that end in a fault, or in a close. */
const ENDS: Record<string, Buffer[]> = {
  'a frame that is not masked': [Buffer.from([0x81, 1, 0x78])],
  'a reserved bit': [Buffer.from([0xa1, 0x80, 0, 0, 0, 0])],
  'compression that was not negotiated': [frame(TEXT, 'x', { compressed: true })],
  'an unknown opcode': [frame(3, 'x')],
  'a continuation of nothing': [frame(TEXT, 'whole'), frame(CONTINUATION, 'x')],
  'a new message within one': [frame(TEXT, 'half', { last: false }), frame(TEXT, 'x')],
  'the same behind an empty half': [frame(TEXT, '', { last: false }), frame(BINARY, 'x')],
  'a ping in pieces': [frame(PING, 'x', { last: false })],
  'a ping that is too long': [frame(PING, 'x'.repeat(126))],
  'text that is none': [frame(TEXT, Buffer.from([0xc3]), { last: false }), frame(CONTINUATION, Buffer.from([0x28]))],
  'a message that is too long': [frame(BINARY, 'x'.repeat(600))],
  'pieces that are too long together': [
    frame(BINARY, 'x'.repeat(400), { last: false }),
    frame(PING, ''),
    frame(CONTINUATION, 'x'.repeat(200)),
  ],
  'too many pieces': [
    frame(TEXT, '', { last: false }),
    frame(CONTINUATION, 'a', { last: false }),
    frame(CONTINUATION, '', { last: false }),
    frame(CONTINUATION, 'b', { last: false }),
    frame(CONTINUATION, ''),
  ],
  'as many pieces as may be': [
    frame(TEXT, 'a', { last: false }),
    frame(CONTINUATION, '', { last: false }),
    frame(CONTINUATION, 'b', { last: false }),
    frame(CONTINUATION, 'c'),
    frame(CLOSE, ''),
  ],
  'a close code that is none': [frame(CLOSE, Buffer.from([0, 1]))],
  'a close': [frame(CLOSE, Buffer.from('\x0f\xa0bye', 'latin1'))],
  'a close without a code': [frame(CLOSE, '')],
}
const LIMITS = { maxPayload: 500, maxFragments: 4 }

for (const [what, frames] of Object.entries(ENDS)) {
  test(`${what}: the same comes of it wherever the WebSocket moved before`, async (t) => {
    noLeak(t)
    const here = await server(t, LIMITS)
    const there = elsewhere(t, LIMITS)
    const stream = Buffer.concat(frames)
    const outcome = async (at: number | null): Promise<unknown> => {
      const { client, ws } = await rawPair(t, here)
      const events = heard(ws)
      const answer: Buffer[] = []
      client.on('data', (bytes) => answer.push(bytes))
      const done = (): boolean => events.some(([event]) => event === 'close')
      if (at === null) client.write(stream)
      else {
        const start = socketOf(ws).bytesRead
        client.write(stream.subarray(0, at))
        await hasRead(ws, start + at)
        if (ws.readyState === ws.OPEN) heard(await moveHere(here.server, ws, there), events)
        client.write(stream.subarray(at))
      }
      client.on('end', () => client.end())
      await turns('it is closed', done)
      client.destroy()
      return { events: events.filter(([event]) => event !== 'moved'), answer: Buffer.concat(answer).toString('hex') }
    }
    const expected = await outcome(null)
    const places = stream.length < 40 ? [...stream.keys()] : [0, 1, 2, 3, 4, 7, 8, 9, 300, 404, 408, 410, 413, 420, 500]
    for (const at of places.filter((place) => place < stream.length)) {
      assert.deepEqual(await outcome(at), expected, `byte ${at} of ${stream.length}`)
    }
  })
}

test('what is no WebSocket, or none of this server’s end, is refused', async (t) => {
  const here = await server(t)
  const { client, ws } = await pair(t, here)
  for (const wrong of [null, undefined, {}, 3, 'x']) {
    assert.throws(() => takeApart(here.server, wrong as never), { name: 'TypeError', message: /^ws: a WebSocket/ })
    assert.throws(() => takeApart(wrong as never, ws), { name: 'TypeError', message: /^server: a WebSocketServer/ })
    await assert.rejects(ready(wrong as never), { name: 'TypeError', message: /^ws: a WebSocket/ })
  }
  await assert.rejects(ready(ws, { timeout: -1 }), RangeError)
  assert.throws(() => takeApart(here.server, client), refused(/the client’s end/))
  const connecting = new WebSocket(`ws://127.0.0.1:${here.port}`)
  t.after(() => connecting.terminate())
  assert.throws(() => takeApart(here.server, connecting), refused(/still connecting/))
  ws.close()
  assert.throws(() => takeApart(here.server, ws), refused(/is closing/))
  await assert.rejects(ready(ws), refused(/is closing/))
  await once(ws, 'close')
  assert.throws(() => takeApart(here.server, ws), refused(/is closed/))
})

test('a WebSocket on a stream of the program’s own is refused', async (t) => {
  const there = elsewhere(t)
  const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  t.after(() => stream.destroy())
  const opened = new Promise<WebSocket>((resolve) => {
    const headers = { upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': `${'A'.repeat(22)}==` }
    there.handleUpgrade({ method: 'GET', headers } as never, stream, Buffer.alloc(0), resolve)
  })
  assert.throws(() => takeApart(there, {} as never), TypeError)
  const ws = await opened
  assert.throws(() => takeApart(there, ws), refused(/no connection of the kernel’s/))
})

test('a WebSocket over TLS of the worker’s own is refused', async (t) => {
  const { keyFile, cert } = certificate(t)
  const secure = https.createServer({ key: readFileSync(keyFile), cert }).listen(0, '127.0.0.1')
  await once(secure, 'listening')
  t.after(() => secure.close())
  const sockets = new WebSocketServer({ server: secure })
  const client = new WebSocket(`wss://127.0.0.1:${(secure.address() as net.AddressInfo).port}`, {
    rejectUnauthorized: false,
  })
  t.after(() => client.terminate())
  const [[ws]] = (await Promise.all([once(sockets, 'connection'), once(client, 'open')])) as [[WebSocket], unknown]
  assert.throws(() => takeApart(sockets, ws), refused(/the keys of a TLS connection stay with its process/))
})

test('half of an own message keeps it here until the rest is sent', async (t) => {
  const here = await server(t)
  const there = elsewhere(t)
  const { client, ws } = await pair(t, here)
  const got = once(client, 'message')
  ws.send('one ', { fin: false })
  assert.throws(() => takeApart(here.server, ws), refused(/sent in part: send its last fragment first/))
  ws.send('message', { fin: true })
  await ready(ws)
  await moveHere(here.server, ws, there)
  assert.equal(String((await got)[0]), 'one message')
})

test('a state that says nothing is refused, and the socket is the caller’s still', async (t) => {
  const there = elsewhere(t)
  const socket = new net.Socket()
  t.after(() => socket.destroy())
  for (const state of [
    null,
    {},
    { protocol: 'x' },
    { protocol: '', binaryType: 'nodebuffer', paused: false, deflate: 1 },
  ]) {
    assert.throws(() => putTogether(there, socket, state as never), error('ERR_HANDOVER_BAD_FRAME', /says nothing/))
  }
  assert.throws(() => putTogether(there, {} as never, {} as never), { message: /^socket: a net.Socket, not an object/ })
  assert.equal(socket.listenerCount('data'), 0)
  assert.equal(there.clients.size, 0)
})
