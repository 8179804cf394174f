/** The page on WebSockets is held against the code, and its examples run. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { handoverErrorCodes } from '../../src/index.js'
import * as api from '../../src/websocket/index.js'
import { command } from '../support/command.js'
import { root, scratch } from '../support/paths.js'

const page = readFileSync(join(root, 'docs/websockets.md'), 'utf8')

test('every example of docs/websockets.md runs, ends, and says what the page says', async (t) => {
  const examples = [...page.matchAll(/^```js\n([\s\S]*?)^```/gm)].map(([, code]) => code as string)
  assert.equal(examples.length, 2)
  const folder = scratch(t)
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(root, join(folder, 'node_modules/handover'))
  symlinkSync(join(root, 'node_modules/ws'), join(folder, 'node_modules/ws'))
  const said: string[] = []
  for (const [i, code] of examples.entries()) {
    writeFileSync(join(folder, `${i}.mjs`), code)
    const run = command(t, process.execPath, [join(folder, `${i}.mjs`)], { cwd: folder })
    assert.equal(await run.ended, 0, `example ${i}: ${run.said()}`)
    assert.equal(run.stderr(), '', `example ${i}`)
    said.push(run.stdout())
  }
  const [, output] = /^```\n(1: [\s\S]*?)^```/m.exec(page) as RegExpExecArray
  assert.equal(said[0], output)
  assert.equal(said[1], 'heard hello\n')
})

test('docs/websockets.md names everything the module has, and only errors that there are', () => {
  for (const name of Object.keys(api)) assert.match(page, new RegExp(`\\b${name}\\(`), name)
  for (const [code] of page.matchAll(/ERR_HANDOVER_\w+/g)) {
    assert.ok((handoverErrorCodes as string[]).includes(code), code)
  }
})
