import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { Supervisor, type SupervisorOptions } from '../../src/index.js'
import { root } from '../support/paths.js'

const page = readFileSync(join(root, 'docs/api.md'), 'utf8')

/** The names in the first column of the table under a heading (or of the first table behind `start`). */
function names(start: string): string[] {
  const section =
    page
      .slice(page.indexOf(start))
      .split('\n\n')
      .find((part) => part.startsWith('|')) ?? ''
  const cells = section
    .split('\n')
    .slice(2)
    .map((row) => row.split('|')[1] as string)
  return cells.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name as string))
}

test('the page lists exactly the options of the code', () => {
  // An option that is not there, to be told which are.
  const options: object = { script: '/x', nonsense: 1 }
  assert.throws(
    () => new Supervisor(options as SupervisorOptions),
    (error: Error) => {
      const known = (error.message.split('there are ')[1] as string).split(', ')
      assert.deepEqual(names('## new Supervisor').sort(), known.sort())
      return true
    },
  )
})

test('the page lists exactly the events of the code', () => {
  const source = readFileSync(join(root, 'src/supervisor/events.ts'), 'utf8')
  const events = [...source.matchAll(/^ {2}(\w+): \[event/gm)].map(([, name]) => name)
  assert.deepEqual(names('### Events').sort(), events.sort())
})

test('the page lists exactly the fields of a status', () => {
  const fields = ['workers/slot-status.ts', 'care/pulse.ts', '../dispatch/target.ts'].flatMap((file) => {
    const source = readFileSync(join(root, 'src/supervisor', file), 'utf8')
    const block = /interface (?:WorkerStatus|PulseStatus|TargetStatus)[^{]*\{([\s\S]*?)\n\}/.exec(source)?.[1] ?? ''
    return [...block.matchAll(/^ {2}(?:readonly )?(\w+):/gm)].map(([, name]) => name)
  })
  assert.deepEqual([...names('### Status'), 'id'].sort(), fields.sort())
})
