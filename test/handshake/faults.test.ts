import assert from 'node:assert/strict'
import type net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { Handshake } from '../../src/handshake/handshake.js'
import { settleHandshake } from '../../src/handshake/options.js'
import type { Inspect } from '../../src/handshake/verdict.js'
import { close } from '../../src/syscalls/descriptor.js'
import { ListeningPort } from '../../src/transport/listening-port.js'
import { byHand } from '../support/admitted.js'
import { connect } from '../support/client.js'
import { noLeak } from '../support/descriptors.js'
import { fakeKernel } from '../support/fake-kernel.js'
import { lookedAt } from '../support/looked-at.js'
import { scratch } from '../support/paths.js'
import { uncaught } from '../support/uncaught.js'
import { until } from '../support/wait.js'

const ENOSPC = -28
const ENOMEM = -12

const byLine: Inspect = (bytes) => {
  const end = bytes.indexOf('\n')
  return end < 0 ? { more: 0 } : { group: bytes.toString('latin1', 0, end) }
}

test('a connection that the kernel cannot watch is given up, the others of its batch are not', async (t) => {
  const thrown = uncaught(t)
  const one = byHand(t, { inspect: byLine })
  let calls = 0
  fakeKernel(t, {
    readyArm: (real, queue, descriptor, events) =>
      events !== 0 && calls++ === 0 ? ENOSPC : real(queue, descriptor, events),
  })
  await one.admit('a\n', '', 'b\n', 'half')
  assert.deepEqual(one.decided, ['a', 'b'])
  assert.equal(one.handshake.count, 1)
  assert.equal(one.setbacks.length, 1)
  assert.deepEqual(thrown, [])
})

test('words to a client that the kernel cannot watch are said', async (t) => {
  const one = byHand(t, { inspect: () => ({ refuse: 'no\n' }) })
  fakeKernel(t, {
    readyArm: (real, queue, descriptor, events) => (events === 0 ? real(queue, descriptor, events) : ENOMEM),
  })
  const [client] = await one.admit('x')
  let text = ''
  for await (const chunk of client as net.Socket) text += chunk
  assert.equal(text, 'no\n')
})

test('a handshake that cannot be watched keeps no descriptor', (t) => {
  noLeak(t)
  fakeKernel(t, { watchOpen: () => ENOMEM })
  const owner = { decided: () => {}, settled: () => {}, setback: () => {} }
  assert.throws(() => new Handshake(settleHandshake({ inspect: byLine }), owner), { code: 'ENOMEM' })
})

test('closed by whoever inspects, or hears of a setback: every connection is closed once', async (t) => {
  let closed = 0
  fakeKernel(t, {
    close: (real, descriptor) => {
      const result = real(descriptor)
      if (result < 0) closed += 1
      return result
    },
  })
  for (const which of ['route', 'more', 'refuse', 'header', 'throw'] as const) {
    await t.test(which, async (t) => {
      const one = byHand(t, {
        inspect: () => {
          one.handshake.close()
          if (which === 'throw') throw new Error('x')
          if (which === 'header') return { header: 1, proxied: null, next: byLine }
          return { route: { group: 'a' }, more: { more: 5 }, refuse: { refuse: 'x' } }[which]
        },
      })
      await one.admit('aaa', 'bbb', '', 'ccc')
      assert.equal(one.handshake.count, 0)
      assert.deepEqual(one.decided, [])
    })
  }
  await t.test('setback', async (t) => {
    const one = byHand(t, { inspect: byLine, undecided: 1 }, { setback: () => one.handshake.close() })
    await one.admit('aaa', 'bbb', 'ccc')
    assert.equal(one.handshake.count, 0)
  })
  await t.test('decided', async (t) => {
    const got: number[] = []
    const one = byHand(
      t,
      { inspect: byLine },
      {
        decided: (descriptor) => {
          got.push(descriptor)
          one.handshake.close()
        },
      },
    )
    await one.admit('aaa', 'b\n', 'c\n', 'ddd')
    for (const descriptor of got) close(descriptor)
    assert.equal(got.length, 1)
  })
  assert.equal(closed, 0)
})

test('what follows a header is looked at, also where it was beyond the limit before', async (t) => {
  const { client, decided, handshake } = lookedAt(t, {
    inspect: (bytes) => (bytes.length < 80 ? { more: 80 } : { header: 80, proxied: null, next: byLine }),
    bytes: 100,
  })
  const socket = await client('x')
  await until('it is undecided', () => handshake.count === 1)
  socket.write(`${'h'.repeat(79)}${'y'.repeat(60)}\n`)
  await until('it is decided', () => decided.length === 1)
})

test('a client over UNIX that says its word and goes is decided by it', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'port.sock')
  const got: string[] = []
  const port = ListeningPort.open({ path })
  const handshake = new Handshake(settleHandshake({ inspect: byLine }), {
    decided: (descriptor, { route }) => {
      got.push(route.group ?? '')
      close(descriptor)
    },
    settled: () => {},
    setback: () => {},
  })
  t.after(() => {
    handshake.close()
    port.close()
  })
  port.watch(() => handshake.admit(port.batch, port.accept(64)))
  const client = await connect({ path })
  client.write('wo')
  await until('it is undecided', () => handshake.count === 1)
  client.end('rd\n')
  client.destroySoon()
  await until('it is decided', () => got.length === 1 || handshake.count === 0)
  assert.deepEqual(got, ['word'])
})

test('no more is shown than is allowed, and an end is told of only where all is shown', async (t) => {
  const seen: [number, boolean][] = []
  const one = byHand(t, {
    inspect: (bytes, { ended }) => {
      seen.push([bytes.length, ended])
      return { more: 0 }
    },
    bytes: 100,
  })
  const [, slow] = await one.admit('x'.repeat(200), 'y')
  slow?.end('y'.repeat(300))
  await until('both are given up', () => one.setbacks.length === 2)
  assert.deepEqual(seen, [
    [100, false],
    [1, false],
    [100, false],
  ])
  assert.deepEqual(one.setbacks, ['too long', 'too long'])
})
