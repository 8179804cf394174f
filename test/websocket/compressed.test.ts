/** Compressed WebSockets move where nothing that was sent before is needed to understand what comes. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import test from 'node:test'
import { constants, deflateRawSync } from 'node:zlib'
import type { PerMessageDeflateOptions } from 'ws'
import { ready, takeApart } from '../../src/websocket/index.js'
import { noLeak } from '../support/descriptors.js'
import { error } from '../support/peers.js'
import {
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

const OFFER = ['Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover']
const text = (i: number): string => `message ${i} of many that are much alike: ${'abcdefgh'.repeat(20)}`

/** As RFC 7692 has it: without the empty block at its end. */
function compressed(message: string): Buffer {
  const bytes = deflateRawSync(message, { finishFlush: constants.Z_SYNC_FLUSH })
  return bytes.subarray(0, -4)
}

const negotiated: Record<string, PerMessageDeflateOptions> = {
  'without context in both directions': { serverNoContextTakeover: true, clientNoContextTakeover: true },
  'without context from the client': { clientNoContextTakeover: true },
  'with a small window': { clientNoContextTakeover: true, serverMaxWindowBits: 9, clientMaxWindowBits: 9 },
}
for (const [how, options] of Object.entries(negotiated)) {
  test(`compressed ${how}, it moves between any messages in both directions`, async (t) => {
    noLeak(t)
    const perMessageDeflate = { threshold: 0, ...options }
    const here = await server(t, { perMessageDeflate })
    const servers = [here.server, elsewhere(t, { perMessageDeflate }), elsewhere(t)]
    const { client, ws } = await pair(t, here, { perMessageDeflate: { threshold: 0 } })
    assert.match(client.extensions, /permessage-deflate/)
    const back: string[] = []
    client.on('message', (data) => back.push(String(data)))
    client.on('close', (code) => back.push(`closed ${code}`))
    let current = ws
    let from = here.server
    const got: string[] = []
    current.on('message', (data) => got.push(String(data)))
    const expected: string[] = []
    for (let move = 0; move < 6; move++) {
      for (let i = 0; i < 5; i++) {
        expected.push(text(expected.length))
        client.send(expected.at(-1) as string)
        current.send(expected.at(-1) as string)
      }
      await ready(current)
      const to = servers[(move % 2) + 1] as typeof from // the last one knows of no compression itself
      current = await moveHere(from, current, to)
      from = to
      assert.equal(current.extensions, 'permessage-deflate')
      current.on('message', (data) => got.push(String(data)))
    }
    await turns('all is heard', () => got.length >= expected.length && back.length >= expected.length)
    assert.deepEqual(got, expected)
    assert.deepEqual(back, expected)
  })
}

test('it moves at every byte of compressed frames', async (t) => {
  noLeak(t)
  const perMessageDeflate = { clientNoContextTakeover: true }
  const here = await server(t, { perMessageDeflate })
  const there = elsewhere(t, { perMessageDeflate })
  const stream = Buffer.concat([
    frame(TEXT, compressed('aaaaaaaaaaaaaaaaaaaa'), { compressed: true }),
    frame(PING, 'p'),
    frame(TEXT, 'plain'),
    frame(TEXT, compressed(text(1)), { compressed: true }),
  ])
  const expected = [
    ['text', 'a'.repeat(20)],
    ['ping', 'p'],
    ['text', 'plain'],
    ['text', text(1)],
  ]
  for (let at = 0; at <= stream.length; at++) {
    const { client, ws } = await rawPair(t, here, OFFER)
    const events = heard(ws)
    const start = socketOf(ws).bytesRead
    client.write(stream.subarray(0, at))
    await hasRead(ws, start + at)
    await ready(ws)
    const moved = await moveHere(here.server, ws, there)
    heard(moved, events)
    client.write(stream.subarray(at))
    const real = (): string[][] => events.filter(([what]) => what !== 'moved')
    await turns('all is heard', () => real().length >= expected.length)
    assert.deepEqual(real(), expected, `byte ${at}`)
    moved.terminate()
    client.destroy()
  }
})

test('of a compressed message in pieces the end is waited for', async (t) => {
  const perMessageDeflate = { clientNoContextTakeover: true }
  const here = await server(t, { perMessageDeflate })
  const there = elsewhere(t, { perMessageDeflate })
  const { client, ws } = await rawPair(t, here, OFFER)
  const events = heard(ws)
  const bytes = compressed(text(2))
  const start = socketOf(ws).bytesRead
  const half = frame(TEXT, bytes.subarray(0, 20), { compressed: true, last: false })
  client.write(half)
  await hasRead(ws, start + half.length)
  await assert.rejects(
    ready(ws, { timeout: 30 }),
    error('ERR_HANDOVER_NOT_MOVABLE', /half of a compressed message has come after 30 ms/),
  )
  const waiting = ready(ws)
  client.write(frame(CONTINUATION, bytes.subarray(20)))
  await waiting
  heard(await moveHere(here.server, ws, there), events)
  client.write(frame(TEXT, bytes, { compressed: true }))
  await turns('both are heard', () => events.length === 3)
  assert.deepEqual(events, [['text', text(2)], ['moved'], ['text', text(2)]])
})

test('what refers to earlier messages keeps it here, and the error says which option to set', async (t) => {
  const here = await server(t, { perMessageDeflate: { threshold: 0 } })
  const there = elsewhere(t)
  const { client, ws } = await pair(t, here, { perMessageDeflate: { threshold: 0 } })
  const moved = await moveHere(here.server, ws, there) // nothing has come yet that could be referred to
  const heardIt = once(moved, 'message')
  client.send(text(1))
  assert.equal(String((await heardIt)[0]), text(1))
  const says = /clientNoContextTakeover: true/
  assert.throws(() => takeApart(there, moved), error('ERR_HANDOVER_NOT_MOVABLE', says))
  await assert.rejects(ready(moved), error('ERR_HANDOVER_NOT_MOVABLE', says))
  const again = once(client, 'message')
  moved.send('goes on')
  assert.equal(String((await again)[0]), 'goes on')
})
