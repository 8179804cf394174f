import assert from 'node:assert/strict'
import { SocketAddress } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { CMSG_LEN, CMSG_SPACE, controlsOf, placeControls, readControls } from '../../src/sendmsg/ancillary.js'
import * as api from '../../src/sendmsg/index.js'

const RUNS = { numRuns: 300, includeErrorInReport: true }

/** A codec, and values for it. `read` is what comes back where that is more than what was given. */
interface Case<Value = unknown, Given = unknown> {
  name: string
  codec: api.Codec<Value, Given>
  values: fc.Arbitrary<Given>
  read: (given: Given) => Value
  /** Sizes in bytes of whole data. */
  whole: (length: number) => boolean
}

const cases: Case[] = []

function covers<Value, Given>(
  name: string,
  codec: api.Codec<Value, Given>,
  values: fc.Arbitrary<Given>,
  whole: (length: number) => boolean,
  read: (given: Given) => Value = (given) => given as unknown as Value,
): void {
  cases.push({ name, codec, values, whole, read } as unknown as Case)
}

const whole =
  (...sizes: number[]) =>
  (length: number): boolean =>
    sizes.includes(length)
const between = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max })
/** Objects as callers write them. */
const record = <Fields extends object>(
  fields: { [Key in keyof Fields]: fc.Arbitrary<Fields[Key]> },
): fc.Arbitrary<Fields> => fc.record(fields, { noNullPrototype: true }) as unknown as fc.Arbitrary<Fields>
const u32 = between(0, 0xffffffff)
const i32 = between(-0x80000000, 0x7fffffff)

/** The one way to write an IPv6 address, by Node. */
const canonical = (address: string): string => new SocketAddress({ address, family: 'ipv6' }).address

covers('rights', api.rights, fc.array(between(0, 0x7fffffff), { maxLength: 253 }), () => true, Array.from)
covers('credentials', api.credentials, record({ pid: between(0, 0x7fffffff), uid: u32, gid: u32 }), whole(12))
covers('pidfd', api.pidfd, i32, whole(4))
const nanoseconds = fc.bigInt({ min: 0n, max: 0x7fffffffffffffffn * 1_000_000_000n })
covers(
  'timestamp',
  api.timestamp,
  nanoseconds.map((time) => time - (time % 1000n)),
  whole(16),
)
covers('timestampns', api.timestampns, nanoseconds, whole(16))
covers(
  'ipPktinfo',
  api.ipPktinfo,
  record({ interfaceIndex: between(0, 0x7fffffff), local: fc.ipV4(), destination: fc.ipV4() }),
  whole(12),
  (given) => given as api.IpPacketInfo,
)
covers(
  'ipv6Pktinfo',
  api.ipv6Pktinfo,
  record({ interfaceIndex: u32, address: fc.ipV6() }),
  whole(20),
  ({ interfaceIndex = 0, address = '' }) => ({ interfaceIndex, address: canonical(address) }),
)
covers('ipv6Hoplimit', api.ipv6Hoplimit, between(-1, 255), whole(4))
covers('ipv6Tclass', api.ipv6Tclass, between(-1, 255), whole(4))
covers('ipTtl', api.ipTtl, between(1, 255), whole(4))
covers('ipTos', api.ipTos, between(0, 255), whole(1, 4))
covers('udpSegment', api.udpSegment, between(0, 0xffff), whole(2))
covers('udpGro', api.udpGro, between(0, 0xffff), whole(4))

const ORIGINS = ['none', 'local', 'icmp', 'icmp6', 'txstatus', 'zerocopy', 'txtime'] as const
const errorGiven = record({
  errno: between(-0xffff, 0),
  origin: fc.oneof(fc.constantFrom(...ORIGINS), between(ORIGINS.length, 255)),
  icmpType: between(0, 255),
  icmpCode: between(0, 255),
  info: u32,
  data: u32,
  offender: fc.oneof(
    fc.constant(null),
    record({ family: fc.constant('IPv4' as const), address: fc.ipV4(), port: between(0, 0xffff) }),
  ),
})
for (const [name, codec, size] of [
  ['ipRecverr', api.ipRecverr, 32],
  ['ipv6Recverr', api.ipv6Recverr, 44],
] as const) {
  covers(name, codec, errorGiven, whole(size), (given) => ({
    ...(given as api.ExtendedError),
    code: codeOf((given as api.ExtendedError).errno),
  }))
}

function codeOf(errno: number): string {
  return errno === 0 ? '' : new api.SyscallError(errno, 'recvmsg').code
}

/** Data of any size, mostly one that some codec takes, in a slice of other bytes or in shared memory. */
const bytes = fc
  .tuple(
    fc.oneof(
      fc.uint8Array({ maxLength: 80 }),
      fc
        .constantFrom(1, 2, 4, 8, 12, 16, 20, 32, 44)
        .chain((size) => fc.uint8Array({ minLength: size, maxLength: size })),
      fc.tuple(fc.constantFrom(1, 2, 10), fc.uint8Array({ maxLength: 126 })).map(([family, rest]) => {
        return Uint8Array.of(...new Uint8Array(16), family, 0, ...rest)
      }),
    ),
    between(0, 3),
    fc.boolean(),
  )
  .map(([data, offset, shared]) => {
    const memory = shared ? new SharedArrayBuffer(offset + data.length + 3) : new ArrayBuffer(offset + data.length + 3)
    const view = new Uint8Array(memory, offset, data.length)
    view.set(data)
    return view
  })

/** The value, or null for a RangeError; any other error is thrown on. */
function unlessOutOfRange<Value>(call: () => Value): { value: Value } | null {
  try {
    return { value: call() }
  } catch (error) {
    if (error instanceof RangeError) return null
    throw error
  }
}

for (const { name, codec, values, read, whole } of cases) {
  test(`${name}: what was encoded is decoded, and the codec is a control message of it`, () => {
    fc.assert(
      fc.property(values, (given) => {
        const data = codec.encode(given)
        assert.deepEqual(codec.decode(data), read(given))
        assert.deepEqual(codec(given), [codec.level, codec.type, data])
      }),
      RUNS,
    )
  })

  test(`${name}: any bytes are a value, or a RangeError by their size alone`, () => {
    fc.assert(
      fc.property(bytes, (data) => {
        const before = Buffer.from(data)
        assert.equal(unlessOutOfRange(() => codec.decode(data)) !== null, whole(data.length))
        assert.deepEqual(Buffer.from(data), before, 'the bytes stay as they are')
      }),
      RUNS,
    )
  })

  test(`${name}: what was decoded and may be sent is encoded to the same value`, () => {
    fc.assert(
      fc.property(bytes, (data) => {
        const decoded = unlessOutOfRange(() => codec.decode(data))
        const encoded = decoded && unlessOutOfRange(() => codec.encode(decoded.value))
        if (encoded === null) return
        assert.deepEqual(codec.decode(encoded.value), decoded?.value)
        assert.deepEqual(codec.encode(codec.decode(encoded.value)), encoded.value)
      }),
      RUNS,
    )
  })
}

/** Control messages of any kind and size, often of a kind that is known. */
const kinds = fc.oneof(fc.tuple(i32, i32), fc.constantFrom(...cases.map(({ codec: { level, type } }) => [level, type])))
const messages = fc.array(
  fc.tuple(kinds, bytes).map(([[level, type], data]): api.ControlMessage => [level as number, type as number, data]),
  { maxLength: 8 },
)

for (const { name, codec, values, read, whole } of cases) {
  test(`${name}: among any control messages the first whole one is found, and others are ignored`, () => {
    fc.assert(
      fc.property(messages, messages, values, (before, after, given) => {
        const isOurs = ([level, type]: api.ControlMessage): boolean => level === codec.level && type === codec.type
        const isWhole = (message: api.ControlMessage): boolean => isOurs(message) && whole(message[2].byteLength)
        const found = codec.from([...before, ...after])
        const whatIsWhole = [...before, ...after].filter(isWhole)
        if (codec === (api.rights as unknown)) {
          const inOrder = whatIsWhole.flatMap(([, , data]) => api.rights.decode(data as Uint8Array))
          assert.deepEqual(found, inOrder)
        } else if (whatIsWhole.length === 0) assert.equal(found, undefined)
        else assert.deepEqual(found, codec.decode(whatIsWhole[0]?.[2] as Uint8Array))
        const others = before.filter((message) => !isWhole(message))
        assert.deepEqual(codec.from([...others, codec(given), ...after.filter((one) => !isOurs(one))]), read(given))
      }),
      { ...RUNS, numRuns: 100 },
    )
  })
}

test('control messages that are placed where CMSG_LEN and CMSG_SPACE say are read as they were', () => {
  fc.assert(
    fc.property(messages, between(0, 8), between(0, 3), (given, units, first) => {
      const own = given.map(
        ([level, type, data]): api.ControlMessage => [
          level,
          level === api.SOL_SOCKET && type === api.SCM_RIGHTS ? 0 : type,
          data,
        ],
      )
      const at = units * (CMSG_SPACE(1) - CMSG_SPACE(0))
      const controls = controlsOf(own)
      assert.equal(
        controls.space,
        own.reduce((sum, [, , data]) => sum + CMSG_SPACE(data.byteLength), 0),
      )
      const control = new Uint8Array(at + controls.space)
      const index = new Int32Array(4 * (first + own.length))
      placeControls(controls, control, index, at, first)
      let start = at
      own.forEach(([, , data], i) => {
        index[4 * (first + i) + 2] = start + CMSG_LEN(0)
        start += CMSG_SPACE(data.byteLength)
      })
      const wanted = own.map(([level, type, data]) => [level, type, Buffer.from(data as Uint8Array)])
      assert.deepEqual(readControls(control, index, own.length, first), wanted)
    }),
    RUNS,
  )
})

const wrong: [name: string, call: () => unknown, error: typeof TypeError, named: RegExp][] = [
  ['a descriptor that is none', () => api.rights([3, -2]), RangeError, /^descriptors\[1\]: .* not -2$/],
  ['a descriptor as text', () => api.rights(['3' as never]), TypeError, /^descriptors\[0\]: .* not the string "3"$/],
  ['descriptors that are no list', () => api.rights(3 as never), TypeError, /^descriptors: .* not 3$/],
  ['a negative pid', () => api.credentials({ pid: -1 }), RangeError, /^pid: .* not -1$/],
  ['a uid beyond 32 bits', () => api.credentials({ uid: 2 ** 32 }), RangeError, /^uid: .* not 4294967296$/],
  ['a gid as text', () => api.credentials({ gid: '0' as never }), TypeError, /^gid: .* not the string "0"$/],
  ['a pidfd beyond 32 bits', () => api.pidfd(2 ** 31), RangeError, /^pidfd: .* not 2147483648$/],
  ['a time before 1970', () => api.timestamp(-1000n), RangeError, /^time: .* not -1000$/],
  ['a part of a microsecond', () => api.timestamp(1n), RangeError, /^time: .* not 1$/],
  ['a time as a number', () => api.timestampns(1 as never), TypeError, /^time: a bigint of nanoseconds, not 1$/],
  ['a time beyond 64 bits', () => api.timestampns(2n ** 63n * 10n ** 9n), RangeError, /^time: /],
  ['a name for an address', () => api.ipPktinfo({ local: 'localhost' }), TypeError, /^local: .* "localhost"$/],
  ['IPv6 for IPv4', () => api.ipPktinfo({ destination: '::1' }), TypeError, /^destination: .*IPv4 .* "::1"$/],
  ['a negative interface', () => api.ipPktinfo({ interfaceIndex: -1 }), RangeError, /^interfaceIndex: .* not -1$/],
  ['a scope in an address', () => api.ipv6Pktinfo({ address: 'fe80::1%1' }), TypeError, /^address: .* "fe80::1%1"$/],
  ['half an interface', () => api.ipv6Pktinfo({ interfaceIndex: 0.5 }), RangeError, /^interfaceIndex: .* not 0.5$/],
  ['no time to live', () => api.ipTtl(0), RangeError, /^IP_TTL: .* not 0$/],
  ['a type of service of 256', () => api.ipTos(256), RangeError, /^IP_TOS: .* not 256$/],
  ['a hop limit of -2', () => api.ipv6Hoplimit(-2), RangeError, /^IPV6_HOPLIMIT: .* not -2$/],
  ['a traffic class of 256', () => api.ipv6Tclass(256), RangeError, /^IPV6_TCLASS: .* not 256$/],
  ['a segment as text', () => api.udpSegment('1' as never), TypeError, /^UDP_SEGMENT: .* not the string "1"$/],
  ['a segment beyond 16 bits', () => api.udpGro(65536), RangeError, /^UDP_GRO: .* not 65536$/],
  ['a positive errno', () => api.ipRecverr({ errno: 111 }), RangeError, /^errno: .* not 111$/],
  ['an unknown origin', () => api.ipRecverr({ origin: 'x' as never }), TypeError, /^origin: one of .* "x"$/],
  ['an ICMP type of 256', () => api.ipv6Recverr({ icmpType: 256 }), RangeError, /^icmpType: .* not 256$/],
  ['no address', () => api.ipRecverr({ offender: 'x' as never }), TypeError, /^offender: .* not the string "x"$/],
  [
    'an offender without a port',
    () => api.ipRecverr({ offender: { address: '::1' } as never }),
    TypeError,
    /^offender\.port: /,
  ],
  ['text for data', () => api.ipTtl.decode('x' as never), TypeError, /^data: .* not the string "x"$/],
]

for (const [name, call, error, named] of wrong) {
  test(`${name} is refused by the name of the field`, () => {
    assert.throws(call, (thrown: Error) => thrown.constructor === error && named.test(thrown.message))
  })
}

test('the space of a codec is what one of its control messages takes', () => {
  const sizes = {
    rights: 4,
    credentials: 12,
    pidfd: 4,
    timestamp: 16,
    timestampns: 16,
    ipPktinfo: 12,
    ipTtl: 4,
    ipTos: 4,
  }
  const more = {
    ipRecverr: 32,
    ipv6Pktinfo: 20,
    ipv6Hoplimit: 4,
    ipv6Tclass: 4,
    ipv6Recverr: 44,
    udpSegment: 2,
    udpGro: 4,
  }
  for (const [name, size] of Object.entries({ ...sizes, ...more })) {
    assert.equal((api as unknown as Record<string, api.Codec<unknown>>)[name]?.space, api.CMSG_SPACE(size), name)
  }
})

test('a field that a codec does not know is refused by name, not overlooked', () => {
  const strange = { address: '127.0.0.1' } as object
  assert.throws(() => api.ipPktinfo(strange), { name: 'TypeError', message: /^ipPktinfo: .*local.* not address$/ })
  assert.throws(() => api.ipv6Pktinfo({ local: '::1' } as object), { name: 'TypeError', message: /not local$/ })
  assert.throws(() => api.credentials({ user: 1 } as object), { name: 'TypeError', message: /not user$/ })
  assert.throws(() => api.ipRecverr({ message: '' } as object), { name: 'TypeError', message: /not message$/ })
})
