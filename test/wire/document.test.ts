import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import type { Link } from '../../src/channel/link.js'
import { handoverErrorCodes } from '../../src/errors.js'
import { DESCRIPTORS_PER_MESSAGE_MAX, FRAME_PAYLOAD_MAX } from '../../src/limits.js'
import { closeMany, dup } from '../../src/syscalls/descriptor.js'
import { socketpair } from '../../src/syscalls/socket.js'
import { FrameReader, FrameType } from '../../src/wire/frame.js'
import { acceptHello, CAPABILITIES, ownHello } from '../../src/wire/hello.js'
import { encodeOffer, encodeVerdict, encodeWithdrawal, Outcome } from '../../src/wire/offer.js'
import { portFrame } from '../../src/wire/ports.js'
import { noLeak } from '../support/descriptors.js'
import { fakeKernel } from '../support/fake-kernel.js'
import { hello, linkAndSocket, raw, transportsFrame } from '../support/links.js'
import { root } from '../support/paths.js'
import { until } from '../support/wait.js'

const page = readFileSync(join(root, 'docs/wire-format.md'), 'utf8')

/** The documented bytes of an example, by the start of its description. */
function example(start: string): Buffer {
  const row = page.split('\n').find((line) => line.startsWith(`| ${start}`) && line.includes('`'))
  assert.ok(row, `an example of ${start}`)
  return Buffer.from((row.split('|')[2] as string).replace(/[` ]/g, ''), 'hex')
}

test('the table of types is that of the code', () => {
  const rows = [...page.matchAll(/^\| (\d+) +\| ([a-z]+) +\|/gm)].map(([, type, name]) => [name, Number(type)])
  assert.deepEqual(Object.fromEntries(rows), FrameType)
})

test('the limits are those of the code', () => {
  assert.ok(page.includes(`at most ${FRAME_PAYLOAD_MAX} `) && page.includes(`at most ${DESCRIPTORS_PER_MESSAGE_MAX} `))
})

test('the hello is that of the code', () => {
  const json = /```json\n(.*)\n```/.exec(page)?.[1] as string
  assert.deepEqual({ ...acceptHello(JSON.parse(json)), pid: process.pid }, ownHello())
  assert.deepEqual(JSON.parse(json).capabilities, [...CAPABILITIES])
})

test('every documented frame is understood', () => {
  const frames = [
    'message',
    'transports',
    'claim',
    'refuse',
    'status',
    'offer',
    'verdict',
    'withdraw',
    'port',
    'accepted',
  ].map(example)
  const reader = new FrameReader()
  const types: number[] = []
  const stream = Buffer.concat(frames)
  stream.copy(reader.buffer)
  reader.commit(stream.length, (type) => types.push(type))
  assert.deepEqual(types, [2, 3, 4, 5, 6, 7, 9, 10, 11, 12])
})

/** A channel past its hello, and all it sends from then on, as hexadecimal text. */
async function listened(t: test.TestContext): Promise<{ channel: Link; socket: number; sent(): string }> {
  noLeak(t)
  let text = ''
  const { channel, socket } = linkAndSocket(t, {
    willing: (tag) => tag === 1,
    transports: (_, descriptors) => closeMany(descriptors),
    closed: (_, returned) => closeMany(returned.descriptors),
  })
  raw(socket, hello)
  await until('the hello is read', () => channel.peer !== null)
  fakeKernel(t, {
    sendmsg: (real, target, data, ...rest) => {
      if (target !== socket) text += Buffer.from(data as Uint8Array).toString('hex')
      return real(target, data, ...rest)
    },
  })
  return { channel, socket, sent: () => text }
}

test('a message is sent as documented', async (t) => {
  const { channel, sent } = await listened(t)
  channel.send({ type: 'drained' })
  assert.equal(sent(), example('message').toString('hex'))
})

test('a status is sent as documented', async (t) => {
  const { channel, sent } = await listened(t)
  channel.finish(2 ** 32)
  await until('it is sent', () => sent() === example('status').toString('hex'))
})

test('a port, and what was accepted from one, are sent as documented', async (t) => {
  assert.equal(portFrame(7).toString('hex'), example('port').toString('hex'))
  const { channel, sent } = await listened(t)
  channel.finish(2, 3)
  const both = Buffer.concat([example('accepted'), example('status')])
  both.writeUInt32LE(2, both.length - 8)
  both.writeUInt32LE(0, both.length - 4)
  await until('both are sent, in this order', () => sent() === both.toString('hex'))
})

test('transports are sent as documented', async (t) => {
  const { channel, sent } = await listened(t)
  const [a, b] = socketpair()
  for (let i = 0; i < 258; i++) channel.take(dup(a), 1)
  channel.flush()
  const before = sent().length
  channel.take(a, 7)
  channel.take(b, 7)
  channel.flush()
  assert.equal(sent().slice(before), example('transports').toString('hex'))
})

test('claims and refusals are sent as documented', async (t) => {
  const { socket, sent } = await listened(t)
  const [a, b] = socketpair()
  const give = (sequence: number, tag: number, count: number): void =>
    raw(socket, transportsFrame(sequence, tag, count), new Array(count).fill(a))
  give(0, 1, 250)
  give(250, 1, 8)
  give(258, 2, 2)
  await until('two are refused', () => sent().endsWith(example('refuse').toString('hex')))
  closeMany(Int32Array.of(a, b))
  const claim = example('claim')
  claim.writeUInt32LE(258, 8)
  assert.ok(sent().includes(claim.toString('hex')))
})

test('an offer, a verdict and a withdrawal are sent as documented', () => {
  assert.equal(
    encodeOffer(0, { message: 'hi', things: [] }, [], 0).last.toString('hex'),
    example('offer').toString('hex'),
  )
  assert.equal(encodeVerdict(1, Outcome.claimed).toString('hex'), example('verdict').toString('hex'))
  assert.equal(encodeWithdrawal(1).toString('hex'), example('withdraw').toString('hex'))
})

test('the errors the documents name are those of the code', () => {
  const documented = readFileSync(join(root, 'docs/errors.md'), 'utf8')
  const codes = [...documented.matchAll(/^\| `(ERR_HANDOVER_\w+)` +\|/gm)].map(([, code]) => code)
  assert.deepEqual(codes.sort(), [...handoverErrorCodes].sort())
})
