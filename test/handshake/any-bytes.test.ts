/** Whatever comes first: every parser and inspector says something of it, and stays with what it said. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import fc from 'fast-check'
import { parseClientHello } from '../../src/handshake/client-hello.js'
import type { Parsed } from '../../src/handshake/parsed.js'
import { parseProxyHeader } from '../../src/handshake/proxy-header.js'
import { parseRequestHead } from '../../src/handshake/request-head.js'
import { CLIENT_HELLO_BYTES_MAX, HTTP_HEAD_BYTES_MAX, PROXY_HEADER_BYTES_MAX } from '../../src/limits.js'
import { messageIn, recordedHellos, records } from '../support/client-hellos.js'
import { cuts, lawful } from '../support/first-bytes.js'
import { subjects } from '../support/first-bytes-subjects.js'
import { root } from '../support/paths.js'

const folder = join(root, 'fuzz/corpus/handshake')
const examples = readdirSync(folder).map((name) => readFileSync(join(folder, name)))
const hellos = recordedHellos().map(({ bytes }) => bytes)

const some = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes))
/** A stream that starts right, has some bytes changed, and something behind it. */
const mutated = fc
  .record({
    seed: fc.constantFrom(...hellos, ...examples, ...examples),
    changes: fc.array(fc.record({ where: fc.nat(), value: fc.nat(255), kind: fc.nat(2) }), { maxLength: 5 }),
    behind: some,
  })
  .map(({ seed, changes, behind }) => {
    let bytes = Buffer.concat([seed, behind])
    for (const { where, value, kind } of changes) {
      const at = where % bytes.length
      const put = kind === 2 ? [] : [value]
      bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from(put), bytes.subarray(kind === 0 ? at : at + 1)])
    }
    return bytes
  })

for (const { name, check } of subjects) {
  test(`${name}: any bytes, cut anywhere`, { timeout: 55_000 }, () => {
    fc.assert(
      fc.property(fc.oneof({ weight: 1, arbitrary: some }, { weight: 4, arbitrary: mutated }), (stream) => {
        check(stream, cuts(stream.length, 60))
      }),
      { numRuns: 500, interruptAfterTimeLimit: 20_000 },
    )
  })
}

test('a mutated hello reads the same in records of any size', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...hellos),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
      fc.array(fc.integer({ min: 2, max: 300 }), { minLength: 1, maxLength: 6 }),
      (hello, changes, sizes) => {
        const message = messageIn(hello)
        for (const [where, value] of changes) message[4 + (where % (message.length - 4))] = value
        const again = records(message, ...sizes)
        const inPieces = lawful(parseClientHello, again, CLIENT_HELLO_BYTES_MAX, cuts(again.length, 40))
        assert.deepEqual(inPieces, parseClientHello(records(message)))
      },
    ),
    { numRuns: 300 },
  )
})

test('long streams that never say enough are given up at the limit', () => {
  const endless: [string, (bytes: Buffer) => Parsed<unknown>, number][] = [
    ['GET / HTTP/1.1\r\nX: y\r\n', parseRequestHead, HTTP_HEAD_BYTES_MAX],
    ['GET / HTTP/1.1\r\n\r', parseRequestHead, HTTP_HEAD_BYTES_MAX],
    ['GET /', parseRequestHead, HTTP_HEAD_BYTES_MAX],
    ['\r\n', parseRequestHead, HTTP_HEAD_BYTES_MAX],
    ['\n', parseRequestHead, HTTP_HEAD_BYTES_MAX],
    ['x', parseRequestHead, HTTP_HEAD_BYTES_MAX],
    ['\x16\x03\x01\x00\x02\x01\x00', parseClientHello, CLIENT_HELLO_BYTES_MAX],
    ['\x16\x03\x01\x40\x00\x01\x00', parseClientHello, CLIENT_HELLO_BYTES_MAX],
    ['PROXY ', parseProxyHeader, PROXY_HEADER_BYTES_MAX],
    ['PROXY UNKNOWN', parseProxyHeader, PROXY_HEADER_BYTES_MAX],
  ]
  for (const [piece, parse, most] of endless) {
    const stream = Buffer.alloc(most + 5000, piece, 'latin1')
    assert.ok('not' in parse(stream), JSON.stringify(piece))
    const at = [...cuts(stream.length, 20), most - 1, most, most + 1].sort((a, b) => a - b)
    for (const { check } of subjects) check(stream, at)
  }
})
