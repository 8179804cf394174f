/** Tables of wrong values, by what an argument should have been. */
import * as api from '../../src/sendmsg/index.js'

/** A value that is refused, with the error's kind, how its message starts, and what it says came. */
export type Wrong = readonly [value: unknown, error: 'TypeError' | 'RangeError', starts: string, came: string]

const strangers: [value: unknown, came: string][] = [
  [undefined, 'undefined'],
  [null, 'null'],
  [true, 'true'],
  [5, '5'],
  [1n, 'the bigint 1n'],
  ['x', 'the string "x"'],
  [Symbol('x'), 'symbol'],
  [() => 1, 'a function'],
  [{}, 'an object (Object)'],
  [[], 'an object (Array)'],
  [new Date(0), 'an object (Date)'],
  [Object.create(null), 'an object (without a prototype)'],
]

/** Values of every type, but for those that are right, each named by what an error says of it. */
export function strange(name: string, ...right: string[]): Wrong[] {
  return strangers.filter(([, came]) => !right.includes(came)).map(([value, came]) => [value, 'TypeError', name, came])
}

function outOfRange(name: string, ...values: number[]): Wrong[] {
  return values.map((value) => [value, 'RangeError', name, String(value)])
}

const I32 = 0x7fffffff
const HALVES = [1.5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]

/** For a whole number; where it has a default, `undefined` is none. */
export function wholeNumbers(name: string, least: number, most = I32, ...right: string[]): Wrong[] {
  return [
    ...strange(`${name}: a whole number from ${least} to ${most}`, '5', ...right),
    ...outOfRange(`${name}: a whole number from ${least} to ${most}`, least - 1, most + 1, ...HALVES),
  ]
}

export const descriptors = (name: string): Wrong[] => [
  ...strange(`${name}: a descriptor number`, '5'),
  ...outOfRange(`${name}: a descriptor number`, -1, I32 + 1, ...HALVES),
  [{ fd: 'x' }, 'TypeError', name, 'an object (Object)'],
  [{ fd: -2 }, 'TypeError', name, 'an object (Object)'],
  [{ fd: 1.5 }, 'TypeError', name, 'an object (Object)'],
]

export const flags: Wrong[] = [
  ...strange('flags: a number', 'undefined', '5'),
  ...outOfRange('flags: a 32-bit number', 2 ** 31, -(2 ** 31) - 1, ...HALVES),
]

const byte = Buffer.from('x')

export const buffers = (name: string): Wrong[] => [
  ...strange(`${name}: a buffer or an iterable of buffers`, 'an object (Array)'),
  [[5], 'TypeError', `${name}[0]: a buffer`, '5'],
  [[byte, 'x'], 'TypeError', `${name}[1]: a buffer`, 'the string "x"'],
  [new Set([byte, null]), 'TypeError', `${name}[1]: a buffer`, 'null'],
  [[[byte]], 'TypeError', `${name}[0]: a buffer`, 'an object (Array)'],
  [new Array(1025).fill(byte), 'RangeError', `${name}: at most 1024`, 'more'],
]

const rightsOf = (bytes: number): api.ControlMessage => [api.SOL_SOCKET, api.SCM_RIGHTS, Buffer.alloc(bytes, 0xff)]

export const ancillary = (name: string): Wrong[] => [
  ...strange(`${name}: an iterable`, 'undefined', 'an object (Array)'),
  [byte, 'TypeError', `${name}: an iterable`, 'an object (Buffer)'],
  [[5], 'TypeError', `${name}[0]: [level, type, data]`, '5'],
  [[[1, 2]], 'TypeError', `${name}[0]: [level, type, data]`, 'an array of 2'],
  [[rightsOf(0), [1, 2, byte, 4]], 'TypeError', `${name}[1]: [level, type, data]`, 'an array of 4'],
  ...strange(`${name}[0] level: a number`, '5').map(([value, ...rest]): Wrong => [[[value, 1, byte]], ...rest]),
  ...strange(`${name}[0] type: a number`, '5').map(([value, ...rest]): Wrong => [[[1, value, byte]], ...rest]),
  ...strange(`${name}[0] data: a buffer`).map(([value, ...rest]): Wrong => [[[1, 2, value]], ...rest]),
  [[[2 ** 31, 1, byte]], 'RangeError', `${name}[0] level: a 32-bit`, '2147483648'],
  [[[1, 1.5, byte]], 'RangeError', `${name}[0] type: a 32-bit`, '1.5'],
  [[rightsOf(7)], 'RangeError', `${name}[0] data: whole descriptors`, '7 bytes'],
  [[rightsOf(4 * 254)], 'RangeError', `${name}: at most 253 descriptors`, '254'],
  [[rightsOf(4 * 200), rightsOf(4 * 54)], 'RangeError', `${name}: at most 253 descriptors`, '254'],
  [[[1, 2, Buffer.alloc(65_536)]], 'RangeError', `${name}: at most 65536 bytes`, String(api.CMSG_SPACE(65_536))],
]

const host = '127.0.0.1'
const raw = (bytes: unknown): unknown => ({ family: 'raw', bytes })

export const addresses = (name: string, ...right: string[]): Wrong[] => [
  ...strange(`${name}: an object`, 'an object (Object)', 'an object (Array)', 'an object (Date)', ...right).filter(
    ([, , , came]) => came !== 'an object (without a prototype)',
  ),
  [{}, 'TypeError', `${name}.address: `, 'undefined'],
  [{ address: 5, port: 1 }, 'TypeError', `${name}.address: `, '5'],
  [{ address: 'localhost', port: 1 }, 'TypeError', `${name}.address: a numeric IPv4 or IPv6`, 'the string "localhost"'],
  [{ address: '127.0.0.1.5', port: 1 }, 'TypeError', `${name}.address: a numeric`, 'the string "127.0.0.1.5"'],
  [{ family: 'IPv6', address: host, port: 1 }, 'TypeError', `${name}.address: a numeric IPv6`, `the string "${host}"`],
  [{ family: 'IPv4', address: '::1', port: 1 }, 'TypeError', `${name}.address: a numeric IPv4`, 'the string "::1"'],
  [{ address: '::1%none', port: 1 }, 'RangeError', `${name}.address: there is no interface`, ''],
  [{ address: '::1%', port: 1 }, 'RangeError', `${name}.address: there is no interface`, ''],
  [{ family: 'IPv5', address: host, port: 1 }, 'TypeError', `${name}.family: `, 'the string "IPv5"'],
  [{ family: null, address: host, port: 1 }, 'TypeError', `${name}.family: `, 'null'],
  ...wholeNumbers(`${name}.port`, 0, 0xffff).map(([port, ...rest]): Wrong => [{ address: host, port }, ...rest]),
  ...wholeNumbers(`${name}.scopeId`, 0, 0xffffffff, 'undefined').map(
    ([scopeId, ...rest]): Wrong => [{ address: '::1', port: 1, scopeId }, ...rest],
  ),
  ...wholeNumbers(`${name}.flowInfo`, 0, 0xffffffff, 'undefined').map(
    ([flowInfo, ...rest]): Wrong => [{ address: '::1', port: 1, flowInfo }, ...rest],
  ),
  [{ path: 5 }, 'TypeError', `${name}.path: text`, '5'],
  [{ family: 'unix' }, 'TypeError', `${name}.path: text`, 'undefined'],
  [{ path: 'a\0b' }, 'TypeError', `${name}.path: a zero byte only in front`, '"a\\u0000b"'],
  [{ path: 'p'.repeat(200) }, 'RangeError', `${name}.path: at most`, '200'],
  [{ path: 'é'.repeat(55) }, 'RangeError', `${name}.path: at most`, '110'],
  [{ path: `\0${'p'.repeat(108)}` }, 'RangeError', `${name}.path: at most`, '109'],
  ...strange(`${name}.bytes: a Uint8Array`).map(([value, ...rest]): Wrong => [raw(value), ...rest]),
  [raw(Buffer.alloc(1)), 'RangeError', `${name}.bytes: 2 to 128 bytes`, '1'],
  [raw(Buffer.alloc(129)), 'RangeError', `${name}.bytes: 2 to 128 bytes`, '129'],
]
