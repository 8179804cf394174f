/** Wrong arguments: each is refused by its name before any call, and the socket is as it was. */
import assert from 'node:assert/strict'
import test from 'node:test'
import * as api from '../../src/sendmsg/index.js'
import { noLeak } from '../support/descriptors.js'
import { assertUsable, distinctKinds } from '../support/socket-kinds.js'
import * as wrong from '../support/wrong-arguments.js'

/** The API as a program without types sees it. */
const untyped = api as unknown as Record<string, (...values: unknown[]) => unknown>

type Values = (socket: api.Descriptor, value: unknown) => unknown[]
type Parameter = [values: Values, wrong: wrong.Wrong[]]

const byte = Buffer.from('x')
const near = { address: '127.0.0.1', port: 9 }
const I32 = 0x7fffffff
const optional = 'undefined'

const first = (name = 'socket'): Parameter => [(_, value) => [value], wrong.descriptors(name)]
const waiting: Parameter[] = [
  first('descriptor'),
  [(socket, signal) => [socket, { signal }], wrong.strange('options.signal: an AbortSignal', optional)],
]
const making: Parameter[] = [
  [(_, family) => [family], wrong.wholeNumbers('family', 0)],
  [(_, type) => [api.AF_UNIX, type], wrong.wholeNumbers('type', 0, I32, optional)],
  [(_, protocol) => [api.AF_UNIX, api.SOCK_STREAM, protocol], wrong.wholeNumbers('protocol', 0, I32, optional)],
]
const addressed: Parameter[] = [first(), [(socket, address) => [socket, address], wrong.addresses('address')]]
const sizes = 65_536

/** Every function, with what each of its parameters refuses. */
const functions: Record<string, Parameter[]> = {
  sendmsg: [
    first(),
    [(socket, data) => [socket, data], wrong.buffers('data')],
    [(socket, ancillary) => [socket, byte, ancillary], wrong.ancillary('ancillary')],
    [(socket, flags) => [socket, byte, [], flags], wrong.flags],
    [
      (socket, address) => [socket, byte, [], 0, address],
      wrong.addresses('address', optional).filter(([value]) => value !== null),
    ],
  ],
  recvmsg: [
    first(),
    [(socket, size) => [socket, size], wrong.wholeNumbers('maxSize', 0, 0x7ffff000, optional)],
    [(socket, size) => [socket, 1, size], wrong.wholeNumbers('ancillarySize', 0, sizes, optional)],
    [(socket, flags) => [socket, 1, 0, flags], wrong.flags],
  ],
  recvmsgInto: [
    first(),
    [(socket, buffers) => [socket, buffers], wrong.buffers('buffers')],
    [(socket, size) => [socket, byte, size], wrong.wholeNumbers('ancillarySize', 0, sizes, optional)],
    [(socket, flags) => [socket, byte, 0, flags], wrong.flags],
  ],
  sendmmsg: [
    first(),
    [
      (socket, messages) => [socket, messages],
      [
        ...wrong.strange('messages: an iterable', 'an object (Array)'),
        [[], 'RangeError', 'messages: at least one', 'none'],
        [new Array(1025).fill({ data: byte }), 'RangeError', 'messages: at most 1024', 'more'],
        [[{ data: byte }, null], 'TypeError', 'messages[1]: an object', 'null'],
        [[{ data: byte }, 'x'], 'TypeError', 'messages[1]: an object', 'the string "x"'],
        [[{ data: byte }, {}], 'TypeError', 'messages[1].data: a buffer', 'undefined'],
      ],
    ],
    [(socket, data) => [socket, [{ data }]], wrong.buffers('messages[0].data')],
    [
      (socket, ancillary) => [socket, [{ data: byte }, { data: byte, ancillary }]],
      wrong.ancillary('messages[1].ancillary'),
    ],
    [
      (socket, address) => [socket, [{ data: byte, address }]],
      wrong.addresses('messages[0].address', optional).filter(([value]) => value !== null),
    ],
    [(socket, flags) => [socket, [{ data: byte }], flags], wrong.flags],
  ],
  recvmmsg: [
    first(),
    [(socket, count) => [socket, count], wrong.wholeNumbers('count', 1, 1024)],
    [(socket, size) => [socket, 1, size], wrong.wholeNumbers('maxSize', 0, sizes, optional)],
    [(socket, size) => [socket, 1, 1, size], wrong.wholeNumbers('ancillarySize', 0, sizes, optional)],
    [(socket, flags) => [socket, 1, 1, 0, flags], wrong.flags],
  ],
  socket: making,
  socketpair: [[(_, family) => [family], wrong.wholeNumbers('family', 0, I32, optional)], ...making.slice(1)],
  bind: addressed,
  connect: addressed,
  listen: [first(), [(socket, backlog) => [socket, backlog], wrong.wholeNumbers('backlog', 0, I32, optional)]],
  accept: [first()],
  shutdown: [first(), [(socket, how) => [socket, how], wrong.wholeNumbers('how', 0, I32, optional)]],
  getsockname: [first()],
  getpeername: [first()],
  getSocketFamily: [first()],
  getPeerCredentials: [first()],
  getsockopt: [
    [(_, socket) => [socket, 'SO_TYPE'], wrong.descriptors('socket')],
    [(socket, name) => [socket, name], wrong.strange('option: the name of a socket option', '5')],
    [
      (socket, level) => [socket, level, 1],
      wrong.wholeNumbers('level', 0).filter(([value]) => typeof value === 'number'),
    ],
    [(socket, option) => [socket, api.SOL_SOCKET, option], wrong.wholeNumbers('option', 0)],
    [(socket, size) => [socket, api.SOL_SOCKET, 1, size], wrong.wholeNumbers('size', 0, sizes, optional)],
  ],
  setsockopt: [
    [(_, socket) => [socket, 'SO_RCVBUF', 1], wrong.descriptors('socket')],
    [(socket, name) => [socket, name, 1], wrong.strange('option: the name of a socket option', '5')],
    [
      (socket, level) => [socket, level, 1, 1],
      wrong.wholeNumbers('level', 0).filter(([value]) => typeof value === 'number'),
    ],
    [(socket, option) => [socket, api.SOL_SOCKET, option, 1], wrong.wholeNumbers('option', 0)],
    [
      (socket, value) => [socket, api.SOL_SOCKET, api.SO_RCVLOWAT, value],
      [
        ...wrong.strange('value: an integer or a buffer', '5'),
        [1.5, 'RangeError', 'value: a whole number', '1.5'],
        [2 ** 31, 'RangeError', 'value: a whole number', '2147483648'],
      ],
    ],
  ],
  readable: waiting,
  writable: waiting,
  urgent: waiting,
  close: [first('descriptor')],
  dup: [first('descriptor')],
}

/** Fails unless the call is refused with the argument's name in front, and what came behind. */
async function assertRefused(name: string, values: unknown[], [, kind, starts, came]: wrong.Wrong): Promise<void> {
  let error: unknown
  try {
    await untyped[name]?.(...values)
  } catch (thrown) {
    error = thrown
  }
  assert.ok(error instanceof Error, `${name}: ${starts} … not ${came}, but it was taken`)
  assert.equal(error.name, kind, error.stack)
  assert.ok(error.message.startsWith(starts), `${name}: "${error.message}" starts with "${starts}"`)
  assert.ok(came === '' || error.message.includes(`not ${came}`), `${name}: "${error.message}" says "not ${came}"`)
}

for (const kind of distinctKinds) {
  for (const [name, parameters] of Object.entries(functions)) {
    test(`${name} refuses wrong arguments by name, and the socket is as it was: ${kind.name}`, async (t) => {
      noLeak(t)
      const ends = await kind.pair(t)
      for (const [values, table] of parameters) {
        for (const row of table) await assertRefused(name, values(ends.left, row[0]), row)
      }
      await assertUsable(ends)
    })
  }
}

test('every function that takes a socket or a descriptor is among those that are tried here', () => {
  const others = ['CMSG_LEN', 'CMSG_SPACE', 'Descriptor', 'SyscallError', 'closeDescriptors', 'takeDescriptors']
  const codecs = (value: object): boolean => 'encode' in value
  const exported = Object.entries(api).filter(([, value]) => typeof value === 'function' && !codecs(value))
  assert.deepEqual(exported.map(([name]) => name).sort(), [...Object.keys(functions), ...others].sort())
})

test('a Descriptor refuses what is no number of a descriptor', () => {
  for (const [value, kind, starts, came] of wrong.wholeNumbers('fd', 0)) {
    const made = (): unknown => new api.Descriptor(value as number)
    assert.throws(
      made,
      (error: Error) => error.name === kind && error.message.startsWith(starts) && error.message.includes(came),
    )
  }
})

for (const name of ['readable', 'writable', 'urgent']) {
  test(`${name} refuses options that are no object`, async (t) => {
    noLeak(t)
    const [socket, peer] = api.socketpair()
    t.after(() => [socket, peer].map((end) => end.close()))
    for (const row of wrong.strange('options: ', 'undefined', 'an object (Object)')) {
      if (typeof row[0] !== 'object' || row[0] === null) await assertRefused(name, [socket, row[0]], row)
    }
  })
}

for (const name of ['closeDescriptors', 'takeDescriptors']) {
  test(`${name} refuses what are no control messages`, async () => {
    for (const row of wrong.strange('ancillary: ', 'an object (Array)')) await assertRefused(name, [row[0]], row)
    const odd = [[api.SOL_SOCKET, api.SCM_RIGHTS, 'x']]
    await assertRefused(name, [odd], [odd, 'TypeError', 'ancillary[0] data: a buffer', 'the string "x"'])
  })
}

test('the scope of an address is all that stands behind the first %', async (t) => {
  noLeak(t)
  const socket = api.socket(api.AF_INET6, api.SOCK_DGRAM)
  t.after(() => socket.close())
  const scope = 'address.address: there is no interface'
  for (const address of ['::1%lo%x', '::1%lo\0x']) {
    await assertRefused('bind', [socket, { address, port: 0 }], [address, 'RangeError', scope, ''])
  }
})

test('a field of an address that is undefined is one that is left out', (t) => {
  noLeak(t)
  const socket = api.socket(api.AF_INET, api.SOCK_DGRAM)
  t.after(() => socket.close())
  untyped.bind?.(socket, { ...near, port: 0, path: undefined, scopeId: undefined, family: undefined })
  assert.equal(api.getsockname(socket)?.family, 'IPv4')
})
