import assert from 'node:assert/strict'
import test from 'node:test'
import { refuse } from '../../src/handshake/destination.js'
import { type FirstLineOptions, firstLine } from '../../src/handshake/first-line.js'
import type { Verdict } from '../../src/handshake/verdict.js'
import { inspected, lawfulVerdict } from '../support/first-bytes.js'

const say = (options: FirstLineOptions, text: string): Verdict =>
  lawfulVerdict(firstLine(options), Buffer.from(text), options.most ?? 1024)

test('the longest start that fits counts; lines end in LF or CR LF', () => {
  const options = { routes: { 'play ': 'game', 'play chess': { group: 'chess' }, ü: refuse('no\n'), GET: 'get' } }
  for (const [text, verdict] of [
    ['play go\n', { group: 'game' }],
    ['play chess\r\n', { group: 'chess' }],
    ['play chess, fast\nmore\n', { group: 'chess' }],
    ['GET\r\n', { group: 'get' }],
    ['über\n', { refuse: 'no\n' }],
    ['play\n', { refuse: '', reason: 'no route for the first line' }],
    ['\n', { refuse: '', reason: 'no route for the first line' }],
    ['\r\n', { refuse: '', reason: 'no route for the first line' }],
    [' play go\n', { refuse: '', reason: 'no route for the first line' }],
    ['play go', { more: 8 }],
    ['', { more: 1 }],
  ] as const) {
    assert.deepEqual(say(options, text), verdict, JSON.stringify(text))
  }
  assert.deepEqual(say({ routes: { '': 'all', x: 'x' } }, 'y\n'), { group: 'all' })
  assert.deepEqual(say({ routes: {}, otherwise: {} }, 'y\n'), {})
})

test('the CR is no part of the line', () => {
  assert.deepEqual(say({ routes: { 'a\r': 'cr' }, otherwise: 'else' }, 'a\r\n'), { group: 'else' })
  assert.deepEqual(say({ routes: { 'a\r': 'cr' }, otherwise: 'else' }, 'a\rb\n'), { group: 'cr' })
})

test('a line over its limit is refused, with a reason', () => {
  const options = { routes: { a: 'a' }, most: 8 }
  assert.deepEqual(say(options, 'a23456\r\n'), { group: 'a' })
  assert.deepEqual(say(options, 'a234567\r\n'), { refuse: '', reason: 'a first line of more than 8 bytes' })
  assert.deepEqual(say(options, 'a2345678'), { refuse: '', reason: 'a first line of more than 8 bytes' })
  assert.deepEqual(say({ routes: { x: 'x' } }, `${'x'.repeat(1023)}\n`), { group: 'x' })
  assert.deepEqual(
    (say({ routes: { x: 'x' } }, `${'x'.repeat(1024)}\n`) as { reason: string }).reason,
    'a first line of more than 1024 bytes',
  )
})

test('a key is what a function says of the line, or the address', () => {
  const room = (line: string): string | undefined => line.split(' ')[1]
  const options = { routes: { join: 'rooms' }, key: [room, 'address'] } as const
  assert.deepEqual(say(options, 'join blå\r\n'), { group: 'rooms', key: 'blå' })
  assert.deepEqual(say(options, 'join\n'), { group: 'rooms', key: '192.0.2.7/32' })
  assert.deepEqual(firstLine({ routes: {}, otherwise: {}, key: room })(Buffer.from('a b\n'), inspected(null)), {
    key: 'b',
  })
})

test('options that are none are refused, and named', () => {
  for (const [options, message] of [
    [undefined, /options: an object/],
    [{}, /routes: an object of destinations, not null/],
    [{ routes: { a: 1 } }, /routes\["a"\]: the name of a group/],
    [{ routes: {}, most: 0 }, /most: a whole number from 1 to 65536, not 0/],
    [{ routes: {}, most: '1' }, /most: a whole number/],
    [{ routes: {}, key: { cookie: 'a' } }, /key: 'address'/],
    [{ routes: {}, max: 3 }, /max: no such option/],
  ] as [unknown, RegExp][]) {
    assert.throws(() => firstLine(options as FirstLineOptions), message)
  }
})
