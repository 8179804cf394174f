import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { pathToFileURL } from 'node:url'
import { Activation, Notifier } from '../../src/index.js'
import { command } from '../support/command.js'
import { root, scratch } from '../support/paths.js'

const page = readFileSync(join(root, 'docs/systemd.md'), 'utf8')
const entry = (name: string): string => JSON.stringify(pathToFileURL(join(root, 'dist/src', name)))

test('the page names every method of the classes', () => {
  for (const made of [Activation, Notifier]) {
    for (const name of Object.getOwnPropertyNames(made.prototype)) {
      if (name !== 'constructor') assert.ok(page.includes(`\`${name}(`), `docs/systemd.md does not name ${name}`)
    }
  }
})

test('every example of the page runs without a manager', async (t) => {
  const examples = [...page.matchAll(/^```js\n([\s\S]*?)^```/gm)].map(([, code]) => code as string)
  assert.equal(examples.length, 2)
  for (const code of examples) {
    const file = join(scratch(t), 'example.mjs')
    const ended = code.includes('SIGTERM') ? '\nsetTimeout(() => process.kill(process.pid, "SIGTERM"), 100)\n' : ''
    writeFileSync(
      file,
      code.replace("'handover'", entry('index.js')).replace("'handover/sendmsg'", entry('sendmsg/index.js')) + ended,
    )
    const run = command(t, process.execPath, [file], { env: { ...process.env, NOTIFY_SOCKET: '' } })
    assert.equal(await run.ended, 0, run.said())
  }
})
