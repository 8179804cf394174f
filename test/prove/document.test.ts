import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { OUTCOMES } from '../../src/prove/outcome.js'
import { handover } from '../support/command.js'
import { root } from '../support/paths.js'

const page = readFileSync(join(root, 'docs/prove.md'), 'utf8')

test('the page lists exactly the options of the command', async (t) => {
  const help = handover(t, ['prove', '--help'])
  await help.ended
  const options = [...help.stdout().matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, name]) => name)
  const documented = [...page.matchAll(/^\| (?:`-\w`, )?`(--[a-z-]+)/gm)].map(([, name]) => name)
  assert.deepEqual(documented.sort(), options.filter((name) => name !== '--help').sort())
})

test('the page names each fate of a request', () => {
  const section = /## What becomes of a request\n([\s\S]*?)\n## /.exec(page)?.[1] ?? ''
  const fates = [...section.matchAll(/^\| ([a-z][a-z -]*[a-z]) +\|/gm)].map(([, name]) => name)
  const words: Partial<Record<string, string>> = { race: 'idle-close race', unsent: 'not sent' }
  assert.deepEqual(
    fates.filter((fate) => fate !== 'fate'),
    OUTCOMES.map((outcome) => words[outcome] ?? outcome),
  )
})
