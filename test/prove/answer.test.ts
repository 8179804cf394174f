import assert from 'node:assert/strict'
import test from 'node:test'
import { type Answer, AnswerReader } from '../../src/prove/answer.js'

/** What is read of these bytes when they come in pieces of so many. */
function read(text: string, size = text.length): { answers: Answer[]; reader: AnswerReader } {
  const reader = new AnswerReader()
  const answers: Answer[] = []
  for (let from = 0; from < text.length; from += size) {
    answers.push(...reader.read(Buffer.from(text.slice(from, from + size), 'latin1')))
  }
  return { answers, reader }
}

const LENGTH = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nProve-Id: 1/2\r\n\r\nhello'
const CHUNKS =
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;why=not\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: x\r\n\r\n'
const EMPTY = 'HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n'
const EARLY = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'
const TO_THE_END = 'HTTP/1.0 200 OK\r\n\r\nall of it'

test('answers are read alike however their bytes are split', () => {
  const all = LENGTH + CHUNKS + EARLY + EMPTY
  for (let size = 1; size <= all.length; size++) {
    const { answers, reader } = read(all, size)
    assert.deepEqual(
      answers.map(({ status, body, closes }) => [status, body, closes]),
      [
        [200, 'hello', false],
        [200, 'hello world', false],
        [204, '', true],
      ],
      `pieces of ${size}`,
    )
    assert.equal(reader.begun, false)
  }
})

test('an answer without a length ends with its connection, and only there', () => {
  const { answers, reader } = read(TO_THE_END, 4)
  assert.deepEqual(answers, [])
  assert.equal(reader.end()?.body, 'all of it')
  assert.equal(reader.end(), null)
})

test('an answer that breaks off has begun, and its end is none', () => {
  for (const text of [LENGTH, CHUNKS]) {
    for (let cut = 1; cut < text.length; cut++) {
      const { answers, reader } = read(text.slice(0, cut))
      assert.deepEqual(answers, [], `after ${cut} bytes`)
      assert.equal(reader.begun, true)
      assert.equal(reader.end(), null)
    }
  }
})

test('a header is known as soon as the head is whole', () => {
  const { reader } = read(LENGTH.slice(0, -3))
  assert.equal(reader.header('prove-id'), '1/2')
})

test('what is no answer is said at once', () => {
  for (const text of [
    'SSH-2.0-x\r\n',
    'HTTP/2 200\r\n\r\n',
    'HTTP/1.1 OK\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n',
  ]) {
    assert.throws(() => read(text), /no answer|content-length|no chunk/, text)
  }
})
