/** Compressed WebSockets move where nothing that was sent before is needed to understand what comes. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import test from 'node:test'
import { constants, deflateRawSync } from 'node:zlib'
import type WebSocket from 'ws'
import type { PerMessageDeflateOptions } from 'ws'
import { prepare, ready, takeApart } from '../../src/websocket/index.js'
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

test('it moves at every byte of the first piece of a compressed message', async (t) => {
  noLeak(t)
  const perMessageDeflate = { clientNoContextTakeover: true }
  const here = await server(t, { perMessageDeflate })
  const there = elsewhere(t, { perMessageDeflate })
  const bytes = compressed(text(3))
  const first = frame(TEXT, bytes.subarray(0, 20), { compressed: true, last: false })
  const rest = Buffer.concat([frame(PING, ''), frame(CONTINUATION, bytes.subarray(20))])
  for (let at = 0; at < first.length; at++) {
    const { client, ws } = await rawPair(t, here, OFFER)
    const start = socketOf(ws).bytesRead
    client.write(first.subarray(0, at))
    await hasRead(ws, start + at)
    const moved = await moveHere(here.server, ws, there)
    const events = heard(moved)
    client.write(Buffer.concat([first.subarray(at), rest]))
    await turns('all is heard', () => events.length >= 2)
    assert.deepEqual(
      events,
      [
        ['ping', ''],
        ['text', text(3)],
      ],
      `byte ${at}`,
    )
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

test('messages that refer to earlier ones are understood where it has moved to, ten times', async (t) => {
  noLeak(t)
  for (const clientMaxWindowBits of [undefined, 9]) {
    const perMessageDeflate = { threshold: 0, ...(clientMaxWindowBits && { clientMaxWindowBits }) }
    const here = await server(t, { perMessageDeflate })
    const servers = [here.server, elsewhere(t, { perMessageDeflate }), elsewhere(t)]
    here.server.on('connection', prepare)
    const { client, ws } = await pair(t, here, { perMessageDeflate: { threshold: 0 } })
    const sent: string[] = []
    const got: string[] = []
    const back: string[] = []
    client.on('message', (data) => back.push(String(data)))
    client.on('close', (code) => back.push(`closed ${code}`))
    const serve = (end: WebSocket): void => {
      end.on('message', (data: Buffer) => {
        got.push(String(data))
        end.send(String(data))
        data.fill(0) // it is the application's
      })
      end.on('error', (thrown) => got.push(String(thrown)))
    }
    // Random, so that only what was sent before makes it short; some longer than any window.
    const parts = [40, 3_000, 9_000, 70_000, 500].map((length) => randomBytes(length).toString('base64'))
    let [current, from] = [ws, here.server]
    serve(current)
    for (let move = 0; move < 10; move++) {
      for (const part of [parts[move % 5], parts[0], parts[(move + 3) % 5]]) {
        sent.push(`${move} ${part}`)
        client.send(sent.at(-1) as string)
      }
      await turns('all is heard', () => got.length === sent.length)
      await ready(current)
      const to = servers[(move % 2) + 1] as typeof from
      ;[current, from] = [await moveHere(from, current, to), to]
      serve(current)
    }
    await turns('all is answered', () => back.length === sent.length)
    assert.ok(got.every((text, i) => text === sent[i]))
    assert.ok(back.every((text, i) => text === sent[i]))
  }
})

test('what nobody kept and later messages refer to keeps it here, and the error says what to do', async (t) => {
  const here = await server(t, { perMessageDeflate: { threshold: 0 } })
  const there = elsewhere(t)
  const { client, ws } = await pair(t, here, { perMessageDeflate: { threshold: 0 } })
  takeApart(here.server, ws).restore() // nothing has come yet that could be referred to
  const heardIt = once(ws, 'message')
  client.send(text(1))
  assert.equal(String((await heardIt)[0]), text(1))
  const says = /prepare\(ws\) when it opens, or set perMessageDeflate: \{ clientNoContextTakeover: true \}/
  prepare(ws) // too late
  assert.throws(() => takeApart(here.server, ws), error('ERR_HANDOVER_NOT_MOVABLE', says))
  await assert.rejects(ready(ws), error('ERR_HANDOVER_NOT_MOVABLE', says))
  assert.equal(there.clients.size, 0)
  const again = once(client, 'message')
  ws.send('goes on')
  assert.equal(String((await again)[0]), 'goes on')
})
