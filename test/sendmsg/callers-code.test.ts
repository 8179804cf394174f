/** Code of the caller's that runs during a call: iterators that throw, getters that call again, memory that goes away. */
import assert from 'node:assert/strict'
import test from 'node:test'
import * as api from '../../src/sendmsg/index.js'
import { noLeak } from '../support/descriptors.js'
import { assertUsable, distinctKinds, type Ends, owned, receive, send } from '../support/socket-kinds.js'

const bytes = (text: string): Buffer => Buffer.from(text)
class Mine extends Error {}

function* thenThrows<Value>(...values: Value[]): Generator<Value> {
  yield* values
  throw new Mine('mine')
}

/** An iterable that runs `effect` before it gives what it has. */
const after = <Value>(effect: () => void, ...values: Value[]): Iterable<Value> => ({
  *[Symbol.iterator]() {
    effect()
    yield* values
  },
})

/** Memory of another size later on, which the types of this version of the language do not know yet. */
function resizable(size: number, most: number): ArrayBuffer & { resize(size: number): void } {
  const make = ArrayBuffer as unknown as new (size: number, options: object) => ReturnType<typeof resizable>
  return new make(size, { maxByteLength: most })
}

const throwing: [what: string, call: (ends: Ends) => unknown][] = [
  ['data', ({ left, to }) => api.sendmsg(left, thenThrows(bytes('x')), undefined, 0, to)],
  ['ancillary', ({ left, to }) => api.sendmsg(left, bytes('x'), thenThrows(api.rights([left])), 0, to)],
  ['buffers', ({ left }) => api.recvmsgInto(left, thenThrows(bytes('x')))],
  ['messages', ({ left, to }) => api.sendmmsg(left, thenThrows(named(bytes('x'), to)))],
  [
    'data of a message',
    ({ left, to }) => api.sendmmsg(left, [named(bytes('x'), to), { data: thenThrows(bytes('x')) }]),
  ],
  [
    'ancillary of a message',
    ({ left, to }) => api.sendmmsg(left, [named(bytes('x'), to), { data: bytes('x'), ancillary: thenThrows() }]),
  ],
  [
    'a getter of the address',
    ({ left }) => {
      const address = {
        port: 1,
        get address(): string {
          throw new Mine('mine')
        },
      }
      return api.sendmsg(left, bytes('x'), [], 0, address)
    },
  ],
]

function named(data: api.Buffers, address: api.Address | undefined): api.Message {
  return address === undefined ? { data } : { data, address }
}

for (const kind of distinctKinds) {
  test(`what the caller's iterators throw comes through, and nothing was sent: ${kind.name}`, async (t) => {
    noLeak(t)
    const ends = await kind.pair(t)
    for (const [what, call] of throwing) {
      assert.throws(() => call(ends), Mine, what)
      assert.equal(api.recvmsg(ends.right), null, what)
    }
    await assertUsable(ends)
  })

  test(`calls inside of calls do not disturb each other: ${kind.name}`, async (t) => {
    noLeak(t)
    const ends = await kind.pair(t)
    const other = await kind.pair(t)
    const [near, far] = api.socketpair()
    t.after(() => [near, far].map((end) => end.close()))
    const inner = (): void => {
      send(other, bytes('inner'), 0, kind.family === 'UNIX' ? [api.rights([far])] : [])
      api.closeDescriptors(api.recvmsg(other.right, 100, 100)?.ancillary ?? [])
      api.getsockname(other.left)
    }
    const outer = {
      get data() {
        inner()
        return after(inner, bytes('ou'), bytes('ter'))
      },
      ancillary: after(inner, ...(kind.family === 'UNIX' ? [api.rights(after(inner, near))] : [])),
    }
    const address = ends.to === undefined ? undefined : withGetters(ends.to, inner)
    assert.equal(api.sendmsg(ends.left, outer.data, outer.ancillary, 0, address), 5)
    const got = await receive(ends.right, 100, 100)
    const passed = api.takeDescriptors(got.ancillary)
    t.after(() => passed.map((descriptor) => descriptor.close()))
    assert.deepEqual(
      [got.data.toString(), got.address, passed.length],
      ['outer', ends.from, Number(kind.family === 'UNIX')],
    )
    const message = address === undefined ? outer : { ...outer, address }
    assert.deepEqual(api.sendmmsg(ends.left, after(inner, message)), [5])
    const again = await receive(ends.right, 100, 100)
    assert.deepEqual([again.data.toString(), again.address], ['outer', ends.from])
    assert.equal(api.closeDescriptors(again.ancillary), passed.length)
  })

  test(`memory that goes away or changes its size is neither read nor written: ${kind.name}`, async (t) => {
    noLeak(t)
    const ends = await kind.pair(t)
    const detached = new ArrayBuffer(8)
    structuredClone(detached, { transfer: [detached] })
    assert.throws(() => send(ends, detached), TypeError)
    const view = new Uint8Array(8)
    structuredClone(view.buffer, { transfer: [view.buffer] })
    assert.equal(send(ends, [view, bytes('x')]), 1)
    assert.equal((await receive(ends.right)).data.toString(), 'x')

    const transfers = (memory: ArrayBuffer) => () => void structuredClone(memory, { transfer: [memory] })
    const leaving = (make: (memory: ArrayBuffer) => api.Bytes): [api.Bytes, () => void] => {
      const memory = new ArrayBuffer(1 << 20)
      return [make(memory), transfers(memory)]
    }
    for (const make of [
      (m: ArrayBuffer) => m,
      (m: ArrayBuffer) => new Uint8Array(m, 8),
      (m: ArrayBuffer) => new DataView(m),
    ]) {
      const [data, leave] = leaving(make)
      assert.equal(api.sendmsg(ends.left, [data, bytes('rest')], after(leave), 0, ends.to), 4)
      assert.equal((await receive(ends.right)).data.toString(), 'rest')
      const [control, leaveControl] = leaving(make)
      const ancillary = (function* (): Generator<api.ControlMessage> {
        yield [api.SOL_SOCKET, api.SCM_RIGHTS, new Uint8Array(0)]
        if (control.byteLength > 4) leaveControl()
      })()
      assert.equal(api.sendmsg(ends.left, bytes('x'), ancillary, 0, ends.to), 1)
      assert.equal((await receive(ends.right)).data.toString(), 'x')
    }

    for (const resized of [0, 2, 64]) {
      const memory = resizable(8, 64)
      const resize = (): void => memory.resize(resized)
      const tracking = new Uint8Array(memory)
      const fixed = new Uint8Array(memory, 4, 4)
      const there = resized >= 8 ? 4 : 0
      assert.equal(
        api.sendmsg(ends.left, [tracking, bytes('|'), fixed], after(resize), 0, ends.to),
        resized + 1 + there,
      )
      assert.equal((await receive(ends.right)).data.length, resized + 1 + there)
    }

    const pool = new SharedArrayBuffer(16)
    assert.equal(send(ends, bytes('shared!!')), 8)
    await api.readable(ends.right)
    assert.equal(api.recvmsgInto(ends.right, [pool])?.bytes, 8)
    assert.equal(Buffer.from(pool).toString('utf8', 0, 8), 'shared!!')
    await assertUsable(ends)
  })
}

test('control messages that grow while others are read are refused or sent, never written out of bounds', (t) => {
  noLeak(t)
  const [left, right] = api.socketpair(api.AF_UNIX, api.SOCK_DGRAM)
  t.after(() => [left, right].map((end) => end.close()))
  for (const size of [64, 4096, 65_536, 1 << 20]) {
    const memory = resizable(4, 1 << 20)
    const data = new Uint8Array(memory)
    const ancillary = (function* (): Generator<api.ControlMessage> {
      yield [api.SOL_SOCKET, 99, data]
      memory.resize(size)
    })()
    // An unknown type at this level is the kernel's to refuse; a length that no room was made for is ours.
    assert.throws(() => api.sendmsg(left, bytes('x'), ancillary), `${size} bytes`)
    memory.resize(4)
    const again = (function* (): Generator<api.ControlMessage> {
      yield [api.SOL_SOCKET, 99, data]
      memory.resize(size)
    })()
    assert.throws(() => api.sendmmsg(left, [{ data: bytes('x'), ancillary: again }]), `${size} bytes, of many`)
  }
  assert.equal(api.recvmsg(right), null)
  assert.equal(api.sendmsg(left, bytes('still')), 5)
  assert.equal(api.recvmsg(right)?.data.toString(), 'still')
})

function withGetters<Kind extends object>(value: Kind, effect: () => void): Kind {
  const entries = Object.entries(value).map(([name, field]) => [
    name,
    {
      enumerable: true,
      get() {
        effect()
        return field
      },
    },
  ])
  return Object.defineProperties({}, Object.fromEntries(entries)) as Kind
}

test('a buffer that lies about its length, or calls from within, changes nothing of a message', async (t) => {
  noLeak(t)
  const [one, other] = [0, 1].map(() => owned(t, api.socket(api.AF_INET, api.SOCK_DGRAM))) as [
    api.Descriptor,
    api.Descriptor,
  ]
  for (const socket of [one, other]) api.bind(socket, { address: '127.0.0.1', port: 0 })
  const sender = owned(t, api.socket(api.AF_INET, api.SOCK_DGRAM))
  class Liar extends Uint8Array {
    override get byteLength(): number {
      api.sendmsg(sender, Buffer.from('inner'), [], 0, api.getsockname(other) as api.Address)
      return 1_000_000
    }
  }
  const [level, type, data] = api.ipTtl(9) as [number, number, Buffer]
  const liar = new Liar(data.length)
  liar.set(data)
  api.setsockopt(one, 'IP_RECVTTL', true)
  api.sendmsg(sender, Buffer.from('outer'), [[level, type, liar]], 0, api.getsockname(one) as api.Address)
  await api.readable(one)
  const message = api.recvmsg(one, 100, 64)
  assert.equal(message?.data.toString(), 'outer')
  assert.equal(api.ipTtl.from(message?.ancillary ?? []), 9)
})
