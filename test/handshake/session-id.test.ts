import assert from 'node:assert/strict'
import test from 'node:test'
import { sessionId, workerOfSession } from '../../src/handshake/session-id.js'

const RANDOM = 'abcdefghijklmnopqrstuv-_'

function as<Result>(worker: string | undefined, ask: () => Result): Result {
  const before = process.env.HANDOVER_WORKER
  if (worker === undefined) delete process.env.HANDOVER_WORKER
  else process.env.HANDOVER_WORKER = worker
  try {
    return ask()
  } finally {
    if (before === undefined) delete process.env.HANDOVER_WORKER
    else process.env.HANDOVER_WORKER = before
  }
}

test('an id of a worker leads back to it; it fits a cookie and a URL, and no two are the same', () => {
  const ids = as('12', () => Array.from({ length: 1000 }, sessionId))
  assert.equal(new Set(ids).size, 1000)
  for (const id of ids) {
    assert.match(id, /^12~[\w-]{24}$/)
    assert.equal(workerOfSession(id), '12')
    assert.equal(encodeURIComponent(id), id)
  }
})

test('outside a worker it is random only, and leads nowhere', () => {
  for (const worker of [undefined, '']) {
    const id = as(worker, sessionId)
    assert.match(id, /^[\w-]{24}$/)
    assert.equal(workerOfSession(id), null)
  }
})

test('an id may be signed, as express-session does it', () => {
  assert.equal(workerOfSession(`s:3~${RANDOM}.sig/+=`), '3')
  assert.equal(workerOfSession(`s%3A3~${RANDOM}.sig%2F`), '3')
})

test('what is not exactly an id leads nowhere', () => {
  for (const text of [
    ...[
      '',
      '~',
      '3~',
      `~${RANDOM}`,
      `3~${RANDOM}x`,
      `3~${RANDOM.slice(1)}`,
      `3~${RANDOM.slice(1)}.`,
      `3~${RANDOM.slice(1)}~`,
    ],
    ...[
      `3~${RANDOM}.sig`,
      `a b~${RANDOM}`,
      `${'9'.repeat(65)}~${RANDOM}`,
      `s:3~${RANDOM}x`,
      `s:~${RANDOM}.x`,
      `\n3~${RANDOM}`,
    ],
  ]) {
    assert.equal(workerOfSession(text), null, text)
  }
})
