import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { ExitCode } from '../../src/cli/exit-codes.js'
import { handover } from '../support/command.js'
import { root } from '../support/paths.js'

const page = readFileSync(join(root, 'docs/run.md'), 'utf8')

test('the page lists exactly the options of the command', async (t) => {
  const help = handover(t, ['run', '--help'])
  await help.ended
  const options = [...help.stdout().matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, name]) => name)
  const documented = [...page.matchAll(/^\| (?:`-\w`, )?`(--[a-z-]+)/gm)].map(([, name]) => name)
  assert.deepEqual(documented.sort(), options.filter((name) => name !== '--help').sort())
})

test('the page lists exactly the exit codes of the command', () => {
  const documented = [...page.matchAll(/^\| (\d+) +\|/gm)].map(([, code]) => Number(code))
  assert.deepEqual(documented, Object.values(ExitCode))
})

test('the policy of the page is one', async () => {
  const source = /```js\n\/\/ by-address\.mjs[^\n]*\n([\s\S]*?)```/.exec(page)?.[1] as string
  const module = (await import(`data:text/javascript,${encodeURIComponent(source)}`)) as {
    default: (connection: object, workers: object[]) => string
  }
  const workers = ['1', '2', '3'].map((id) => ({ id, ready: true, stalled: false }))
  const choose = (address: string): string => module.default({ peer: { address } }, workers)
  assert.equal(choose('192.0.2.7'), choose('192.0.2.7'))
  assert.equal(new Set(Array.from({ length: 50 }, (_, i) => choose(`192.0.2.${i}`))).size, 3)
})
