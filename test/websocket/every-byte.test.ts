/** A WebSocket moves at any byte of any stream of frames, and what is heard is what would be heard without it. */
import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import type WebSocket from 'ws'
import { ready, takeApart } from '../../src/websocket/index.js'
import { noLeak } from '../support/descriptors.js'
import {
  BINARY,
  CONTINUATION,
  elsewhere,
  frame,
  hasRead,
  heard,
  moveHere,
  PING,
  PONG,
  rawPair,
  server,
  socketOf,
  TEXT,
  turns,
} from '../support/websockets.js'

/** Every step of the receiver, and every form of a frame. */
const FRAMES = [
  frame(TEXT, 'one'),
  frame(TEXT, ''),
  frame(BINARY, Buffer.from([0, 255, 1, 254])),
  frame(TEXT, 'äö', { lengthBits: 16 }),
  frame(BINARY, 'long', { lengthBits: 64 }),
  frame(TEXT, 'x'.repeat(130)),
  frame(TEXT, 'frag', { last: false }),
  frame(PING, 'between'),
  frame(CONTINUATION, '', { last: false }),
  frame(CONTINUATION, 'men', { last: false, mask: [0, 0, 0, 0] }),
  frame(PONG, ''),
  frame(CONTINUATION, 'ted'),
  frame(BINARY, '', { last: false }),
  frame(CONTINUATION, '', { last: false }),
  frame(CONTINUATION, 'late', { lengthBits: 16 }),
  frame(TEXT, '', { last: false }),
  frame(CONTINUATION, ''),
  frame(PING, ''),
]
const STREAM = Buffer.concat(FRAMES)
const HEARD = [
  ['text', 'one'],
  ['text', ''],
  ['binary', '\x00\xff\x01\xfe'],
  ['text', Buffer.from('äö').toString('latin1')],
  ['binary', 'long'],
  ['text', 'x'.repeat(130)],
  ['ping', 'between'],
  ['pong', ''],
  ['text', 'fragmented'],
  ['binary', 'late'],
  ['text', ''],
  ['ping', ''],
]
/** What the server answers to it: two pongs. */
const ANSWERS = Buffer.concat([Buffer.from([0x8a, 7]), Buffer.from('between'), Buffer.from([0x8a, 0])])

test('it moves at every byte of a stream: every message comes once, in order, and every ping is answered', async (t) => {
  noLeak(t)
  const here = await server(t)
  const there = elsewhere(t)
  for (let at = 0; at <= STREAM.length; at++) {
    const { client, ws } = await rawPair(t, here)
    const before = socketOf(ws).bytesRead
    const answers: Buffer[] = []
    client.on('data', (bytes) => answers.push(bytes))
    const events = heard(ws)
    client.write(STREAM.subarray(0, at))
    await hasRead(ws, before + at)
    const moved = await moveHere(here.server, ws, there)
    heard(moved, events)
    client.write(STREAM.subarray(at))
    await turns('all is heard', () => events.length > HEARD.length && Buffer.concat(answers).length >= ANSWERS.length)
    assert.deepEqual(
      events.filter(([what]) => what !== 'moved'),
      HEARD,
      `byte ${at}`,
    )
    assert.deepEqual(Buffer.concat(answers), ANSWERS, `byte ${at}`)
    assert.equal(here.server.clients.size, 0)
    assert.deepEqual([...there.clients], [moved])
    moved.terminate()
    client.destroy()
    await turns('it has left', () => there.clients.size === 0)
  }
})

for (const options of [{}, { maxFragments: 0 }, { allowSynchronousEvents: false }]) {
  test(`it moves behind every single byte of one conversation ${JSON.stringify(options)}`, async (t) => {
    noLeak(t)
    const here = await server(t, options)
    const servers = [elsewhere(t, options), elsewhere(t, options)] as const
    const { client, ws } = await rawPair(t, here)
    const events: string[][] = []
    heard(ws, events)
    let current = await moveHere(here.server, ws, servers[0])
    heard(current, events)
    for (const [i, byte] of STREAM.entries()) {
      client.write(Buffer.from([byte]))
      await hasRead(current, 1)
      await ready(current)
      current = await moveHere(servers[i % 2] as never, current, servers[(i + 1) % 2] as never)
      heard(current, events)
    }
    await turns('all is heard', () => events.filter(([what]) => what !== 'moved').length === HEARD.length)
    assert.deepEqual(
      events.filter(([what]) => what !== 'moved'),
      HEARD,
    )
  })
}

test('it goes on where it was, taken apart and restored behind every single byte', async (t) => {
  noLeak(t)
  const here = await server(t)
  const { client, ws } = await rawPair(t, here)
  const events = heard(ws)
  const start = socketOf(ws).bytesRead
  for (const [i, byte] of STREAM.entries()) {
    client.write(Buffer.from([byte]))
    await hasRead(ws, start + i + 1)
    const apart = takeApart(here.server, ws)
    assert.equal(ws.readyState, ws.CLOSING)
    apart.restore()
    assert.equal(ws.readyState, ws.OPEN)
    apart.restore() // once is enough
    apart.moved()
    assert.equal(ws.readyState, ws.OPEN)
  }
  await turns('all is heard', () => events.length === HEARD.length)
  assert.deepEqual(events, HEARD)
  client.write(frame(TEXT, 'and on'))
  await turns('it is heard', () => events.length > HEARD.length)
  assert.deepEqual([...here.server.clients], [ws])
})

test('what arrives while it is apart is heard once it is restored', async (t) => {
  noLeak(t)
  const here = await server(t)
  const { client, ws } = await rawPair(t, here)
  const events = heard(ws)
  for (let at = 0; at <= STREAM.length; at += 7) {
    const start = socketOf(ws).bytesRead
    events.length = 0
    client.write(STREAM.subarray(0, at))
    await hasRead(ws, start + at)
    const apart = takeApart(here.server, ws)
    client.write(STREAM.subarray(at))
    await hasRead(ws, start + STREAM.length)
    apart.restore()
    await turns('all is heard', () => events.length >= HEARD.length)
    assert.deepEqual(events, HEARD, `byte ${at}`)
  }
})

interface Message {
  text: boolean
  /** In pieces, with a ping in front of some. */
  pieces: { bytes: string; ping: boolean; bits: 7 | 16 | 64 }[]
}

const messages: fc.Arbitrary<Message[]> = fc.array(
  fc.record({
    text: fc.boolean(),
    pieces: fc.array(
      fc.record({
        bytes: fc.oneof(fc.string({ unit: 'binary-ascii', maxLength: 125 }), fc.constant('')),
        ping: fc.boolean(),
        bits: fc.constantFrom(7, 16, 64),
      }),
      { minLength: 1, maxLength: 4 },
    ),
  }),
  { minLength: 1, maxLength: 6 },
)

test('any messages, cut and moved anywhere, are heard as if it had not moved', async (t) => {
  const here = await server(t)
  const there = elsewhere(t)
  const one = async (sent: Message[], cuts: number[]): Promise<void> => {
    const bytes: Buffer[] = []
    const expected: string[][] = []
    for (const { text, pieces } of sent) {
      for (const [i, piece] of pieces.entries()) {
        if (piece.ping) {
          bytes.push(frame(PING, 'p'))
          expected.push(['ping', 'p'])
        }
        const last = i === pieces.length - 1
        bytes.push(frame(i > 0 ? CONTINUATION : text ? TEXT : BINARY, piece.bytes, { last, lengthBits: piece.bits }))
      }
      expected.push([text ? 'text' : 'binary', pieces.map((piece) => piece.bytes).join('')])
    }
    const stream = Buffer.concat(bytes)
    const events: string[][] = []
    const { client, ws } = await rawPair(t, here)
    let current: WebSocket = ws
    let from = here.server
    let at = 0
    let read = socketOf(ws).bytesRead
    heard(current, events)
    for (const cut of cuts.map((part) => Math.floor(part * stream.length)).sort((a, b) => a - b)) {
      client.write(stream.subarray(at, cut))
      await hasRead(current, read + cut - at)
      current = await moveHere(from, current, there)
      heard(current, events)
      from = there
      at = cut
      read = 0
    }
    client.write(stream.subarray(at))
    const real = (): string[][] => events.filter(([what]) => what !== 'moved')
    await turns('all is heard', () => real().length >= expected.length)
    assert.deepEqual(real(), expected)
    current.terminate()
    client.destroy()
  }
  const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 3 })
  await fc.assert(fc.asyncProperty(messages, cuts, one), { numRuns: 150 })
})
