import assert from 'node:assert/strict'
import { join } from 'node:path'
import test from 'node:test'
import { pathToFileURL } from 'node:url'
import { command } from '../support/command.js'
import { fixture, root } from '../support/paths.js'

/** The smallest object takes more. */
const BYTES = 8

test('sending bytes allocates nothing', async (t) => {
  const entry = pathToFileURL(join(root, 'dist/src/sendmsg/index.js')).href
  const run = command(t, process.execPath, ['--expose-gc', fixture('sends-and-counts.mjs'), entry])
  assert.equal(await run.ended, 0, run.stderr())
  assert.ok(Number(run.stdout()) < BYTES, `${run.stdout().trim()} bytes a send`)
})
