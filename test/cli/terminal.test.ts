/** What is drawn on a terminal shows, whatever that says of its size. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { createLogUpdate } from 'log-update'
import { sized, sizeOf } from '../../src/cli/terminal.js'

function drawn(size: { columns?: number; rows?: number }): string {
  let text = ''
  const terminal = { ...size, write: (more: string) => (text += more) }
  const draw = createLogUpdate(sized(terminal), { showCursor: true })
  draw('worker 1\nworker 2')
  draw.done()
  return text
}

test('a terminal of no size shows as much as one of 80 columns and 24 rows', () => {
  assert.deepEqual(sizeOf({ columns: 0, rows: 0 }), { columns: 80, rows: 24 })
  assert.deepEqual(sizeOf({}), { columns: 80, rows: 24 })
  assert.match(drawn({ columns: 0, rows: 0 }), /worker 1\nworker 2\n/)
})

test('one that knows its size is believed', () => {
  assert.deepEqual(sizeOf({ columns: 7, rows: 3 }), { columns: 7, rows: 3 })
  assert.match(drawn({ columns: 7, rows: 24 }), /worker \n1\nworker \n2\n/)
})
