import assert from 'node:assert/strict'
import type net from 'node:net'
import test from 'node:test'
import { settleHandshake } from '../../src/handshake/options.js'
import type { Inspect } from '../../src/handshake/verdict.js'
import { MSG_PEEK } from '../../src/syscalls/constants.js'
import { recvmsg } from '../../src/syscalls/message.js'
import { lookedAt } from '../support/looked-at.js'
import { until } from '../support/wait.js'

/** Decides by the first line, when it is there. */
const byLine: Inspect = (bytes) => {
  const end = bytes.indexOf('\n')
  return end < 0 ? { more: 0 } : { group: bytes.toString('latin1', 0, end) }
}

/** All that a client hears until its connection ends, and whether it was reset. */
async function heard(client: net.Socket): Promise<{ text: string; reset: boolean }> {
  let text = ''
  let reset = false
  client.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
  })
  client.on('error', (error: NodeJS.ErrnoException) => {
    reset = error.code === 'ECONNRESET'
  })
  if (!client.closed) await new Promise((resolve) => client.once('close', resolve))
  return { text, reset }
}

test('a connection is decided by its first bytes, none of which is taken', async (t) => {
  const { client, decided, unread } = lookedAt(t, { inspect: byLine })
  await client('shop\nand more')
  await until('it is decided', () => decided.length === 1)
  assert.deepEqual(decided[0]?.note.route, { group: 'shop' })
  assert.equal(unread(), 'shop\nand more')
})

test('what comes in pieces is looked at until it is enough, and is all there then', async (t) => {
  const seen: string[] = []
  const { client, decided, unread, handshake } = lookedAt(t, {
    inspect: (bytes, connection) => {
      seen.push(bytes.toString())
      return byLine(bytes, connection)
    },
  })
  const socket = await client()
  await until('it is undecided', () => handshake.count === 1)
  for (const letter of 'shop') {
    const before = seen.length
    socket.write(letter)
    await until('the letter is seen', () => seen.length > before)
  }
  assert.equal(decided.length, 0)
  socket.write('\nrest')
  await until('it is decided', () => decided.length === 1)
  assert.equal(handshake.count, 0)
  assert.deepEqual(seen, ['s', 'sh', 'sho', 'shop', 'shop\nrest'])
  assert.equal(unread(), 'shop\nrest')
})

test('who asks for a number of bytes is not asked again before they are there', async (t) => {
  const sizes: number[] = []
  const { client, decided, handshake } = lookedAt(t, {
    inspect: (bytes) => {
      sizes.push(bytes.length)
      return bytes.length < 100 ? { more: 100 } : {}
    },
  })
  const socket = await client('x')
  await until('it is undecided', () => handshake.count === 1 && sizes.length === 1)
  socket.write('y'.repeat(98))
  const other = await client('z'.repeat(200)) // once this one is decided, the other's bytes have been seen, too
  await until('another is decided', () => decided.length === 1)
  assert.deepEqual(sizes, [1, 200])
  socket.write('y')
  await until('it is decided', () => decided.length === 2)
  assert.equal(sizes.at(-1), 100)
  other.destroy()
})

test('more than a first look shows is looked at as well', async (t) => {
  const { client, decided, unread } = lookedAt(t, { inspect: byLine, bytes: 64 * 1024 })
  await client(`${'a'.repeat(50_000)}\nb`)
  await until('it is decided', () => decided.length === 1)
  assert.equal(decided[0]?.note.route.group?.length, 50_000)
  assert.equal(unread().length, 50_002)
})

test('a client that is silent is closed when its time is up, or goes where it was said', async (t) => {
  const closing = lookedAt(t, { inspect: byLine, time: 20 })
  const socket = await closing.client()
  assert.deepEqual(await heard(socket), { text: '', reset: false })
  assert.deepEqual(closing.setbacks, [
    { setback: 'late', reason: 'nothing could be decided within 20 ms', peer: '127.0.0.1' },
  ])
  const routing = lookedAt(t, { inspect: byLine, time: 20, otherwise: { group: 'slow' } })
  await routing.client('no line')
  await until('it is decided', () => routing.decided.length === 1)
  assert.deepEqual(routing.decided[0]?.note.route, { group: 'slow' })
  assert.equal(routing.unread(), 'no line')
  const speaking = lookedAt(t, { inspect: byLine, time: 20, otherwise: { refuse: 'too slow\n' } })
  assert.deepEqual(await heard(await speaking.client('no line')), { text: 'too slow\n', reset: false })
})

test('who spoke in time is heard, also where nobody listened until its time was up', async (t) => {
  const { client, decided, setbacks, handshake } = lookedAt(t, { inspect: byLine, time: 100 })
  const socket = await client()
  await until('it is undecided', () => handshake.count === 1)
  handshake.hold(true)
  const over = performance.now() + 150
  const { descriptor } = handshake.undecided[0] as { descriptor: number }
  socket.write('shop\n')
  await until('it has spoken', () => recvmsg(descriptor, Buffer.alloc(8), MSG_PEEK, 0) === 5)
  await until('its time is up', () => performance.now() > over)
  handshake.hold(false)
  assert.deepEqual(decided[0]?.note.route, { group: 'shop' })
  assert.deepEqual(setbacks, [])
})

test('too many that are undecided: the oldest is given up, the others are not', async (t) => {
  const { client, handshake, setbacks, decided } = lookedAt(t, { inspect: byLine, undecided: 2 })
  const oldest = await client('1')
  await until('one is undecided', () => handshake.count === 1)
  const second = await client('2')
  await until('two are undecided', () => handshake.count === 2)
  await client('3')
  await heard(oldest)
  assert.equal(setbacks[0]?.setback, 'crowded out')
  second.write('\n')
  await until('the second is decided', () => decided.length === 1)
  assert.equal(decided[0]?.note.route.group, '2')
})

test('who says much and nothing is given up at the limit of bytes, or of pieces', async (t) => {
  let looks = 0
  const { client, setbacks, handshake } = lookedAt(t, {
    inspect: (bytes, connection) => {
      looks += 1
      return byLine(bytes, connection)
    },
    bytes: 1000,
  })
  await heard(await client('x'.repeat(1000)))
  assert.match(setbacks[0]?.reason ?? '', /1001 bytes were to be seen, where 1000 are allowed/)
  const drop = await client()
  await until('it is undecided', () => handshake.count === 1)
  drop.setNoDelay(true)
  for (let i = 0; i < 300 && setbacks.length < 2; i++) {
    const before = looks
    drop.write('x')
    await until('the piece is looked at', () => looks > before || setbacks.length === 2)
  }
  await heard(drop)
  assert.equal(setbacks[1]?.setback, 'too long')
})

test('a client that goes before it is decided is closed quietly', async (t) => {
  const { client, handshake, setbacks, accepted } = lookedAt(t, { inspect: byLine })
  const silent = await client()
  const resetting = await client('no line')
  await until('both are undecided', () => handshake.count === 2)
  silent.destroy()
  resetting.resetAndDestroy()
  await until('both are gone', () => handshake.count === 0)
  assert.equal(accepted(), 2)
  assert.deepEqual(setbacks, [])
})

test('a client that has said its last word is decided by it', async (t) => {
  const { client, decided, setbacks } = lookedAt(t, {
    inspect: (bytes, { ended }) => (ended && bytes.length < 9 ? { group: bytes.toString() } : { more: 0 }),
  })
  const socket = await client('last')
  socket.end()
  await until('it is decided', () => decided.length === 1)
  assert.equal(decided[0]?.note.route.group, 'last')
  const longer = await client('too many bytes')
  longer.end()
  await until('the other is given up', () => setbacks.length === 1)
  assert.equal(setbacks[0]?.setback, 'broken off')
})

test('who is turned away hears why, whatever it has sent itself', async (t) => {
  const words = 'HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'
  const { client, setbacks, handshake } = lookedAt(t, { inspect: () => ({ refuse: words, reason: 'no such host' }) })
  const socket = await client('x'.repeat(100_000))
  assert.deepEqual(await heard(socket), { text: words, reset: false })
  assert.deepEqual(setbacks, [{ setback: 'refused', reason: 'no such host', peer: '127.0.0.1' }])
  assert.equal(handshake.count, 0)
})

test('who is turned away without words is closed', async (t) => {
  const { client } = lookedAt(t, { inspect: () => ({ refuse: '' }) })
  assert.equal((await heard(await client('hello'))).text, '')
})

test('an inspection that throws or says nonsense decides nothing: what is otherwise done is done', async (t) => {
  const verdicts: (() => unknown)[] = [
    () => {
      throw new Error('out of order')
    },
    () => null,
    () => 'more',
    () => ({ group: 5 }),
    () => ({ more: 'x' }),
    () => ({ refuse: 5 }),
    () => ({ header: 6, proxied: null, next: null }),
    () => ({ header: 0, proxied: null, next: null }),
    () => ({ header: 1, proxied: null, next: 'x' }),
    () => Promise.resolve({}),
  ]
  let next = 0
  const { client, decided, setbacks, unread } = lookedAt(t, {
    inspect: () => verdicts[next++]?.() as never,
    otherwise: { group: 'other' },
  })
  for (let i = 0; i < verdicts.length; i++) {
    await client('hello')
    await until(`verdict ${i} is judged`, () => decided.length === i + 1)
    assert.equal(unread(i), 'hello')
  }
  assert.equal(setbacks.length, verdicts.length)
  assert.ok(setbacks.every(({ setback }) => setback === 'inspection failed'))
  assert.equal(setbacks[0]?.reason, 'out of order')
})

test('of a header exactly its bytes are taken, and what follows is looked at by the next', async (t) => {
  const proxied = {
    peer: { address: '203.0.113.9', family: 'IPv4', port: 50_123 },
    local: { address: '198.51.100.7', family: 'IPv4', port: 443 },
    fields: [],
  } as const
  const seen: (string | undefined)[] = []
  const { client, decided, unread } = lookedAt(t, {
    inspect: (bytes) =>
      bytes.length < 6
        ? { more: 6 }
        : {
            header: 6,
            proxied,
            next: (rest, connection) => {
              seen.push(connection.peer?.address)
              return byLine(rest, connection)
            },
          },
  })
  await client('HEADERshop\nrest')
  await until('it is decided', () => decided.length === 1)
  assert.equal(unread(), 'shop\nrest')
  assert.deepEqual(decided[0]?.note.proxied, proxied)
  assert.deepEqual(seen, ['203.0.113.9'])
  const inPieces = await client()
  for (const piece of ['HEA', 'DER', 'sho', 'p\n']) {
    inPieces.write(piece)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await until('it is decided, too', () => decided.length === 2)
  assert.equal(unread(1), 'shop\n')
})

test('a connection that nobody looks at behind its header goes where the policy says', async (t) => {
  const { client, decided, unread } = lookedAt(t, { inspect: () => ({ header: 2, proxied: null, next: null }) })
  await client('H\n')
  await until('it is decided', () => decided.length === 1)
  assert.deepEqual(decided[0]?.note.route, {})
  assert.equal(unread(), '')
})

test('a client that ends behind a header is closed', async (t) => {
  const { client, decided, handshake, accepted } = lookedAt(t, {
    inspect: () => ({ header: 2, proxied: null, next: byLine }),
  })
  ;(await client('H\n')).end()
  await until('it was accepted and is gone', () => accepted() === 1 && handshake.count === 0)
  assert.equal(decided.length, 0)
})

test('options that are wrong are named', () => {
  const wrong: [object, RegExp][] = [
    [{}, /handshake.inspect: a function/],
    [{ inspect: byLine, bytes: 0 }, /handshake.bytes: a whole number from 1 to 65536, not 0/],
    [{ inspect: byLine, time: 'soon' }, /handshake.time: a whole number from 1 to 2147483647, not the string "soon"/],
    [{ inspect: byLine, undecided: 0 }, /handshake.undecided: a whole number from 1, not 0/],
    [{ inspect: byLine, ports: 80 }, /handshake.ports: a list of port numbers and paths, not 80/],
    [
      { inspect: byLine, otherwise: 'open' },
      /handshake.otherwise: 'close', a route or a refusal, not the string "open"/,
    ],
    [{ inspect: byLine, limit: 5 }, /limit: no such option/],
  ]
  for (const [options, message] of wrong) assert.throws(() => settleHandshake(options as never), message)
})
