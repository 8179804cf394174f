/** The pages on channels, bootstraps and transports are held against the code, and their examples run. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { Channel, handoverErrorCodes } from '../../src/index.js'
import { builtinKinds } from '../../src/transport/builtin-kinds.js'
import { command } from '../support/command.js'
import { root, scratch } from '../support/paths.js'

const PAGES = ['channel', 'bootstrap', 'transport', 'handshake']
const pageOf = (name: string): string => readFileSync(join(root, `docs/${name}.md`), 'utf8')

for (const name of PAGES) {
  test(`every example of docs/${name}.md runs, and ends`, async (t) => {
    const examples = [...pageOf(name).matchAll(/^```js\n([\s\S]*?)^```/gm)].map(([, code]) => code as string)
    assert.ok(examples.length >= 2)
    const folder = scratch(t)
    mkdirSync(join(folder, 'node_modules'))
    symlinkSync(root, join(folder, 'node_modules/handover'))
    for (const [i, code] of examples.entries()) {
      writeFileSync(join(folder, `${i}.mjs`), code)
      const run = command(t, process.execPath, [join(folder, `${i}.mjs`)], { cwd: folder })
      assert.equal(await run.ended, 0, `example ${i}: ${run.said()}`)
      assert.equal(run.stderr(), '', `example ${i}`)
    }
  })

  test(`docs/${name}.md names only errors that there are`, () => {
    for (const [code] of pageOf(name).matchAll(/ERR_HANDOVER_\w+/g)) {
      assert.ok((handoverErrorCodes as string[]).includes(code), code)
    }
  })
}

test('the page on channels names every member', () => {
  for (const name of Object.getOwnPropertyNames(Channel.prototype)) {
    if (name !== 'constructor') assert.match(pageOf('channel'), new RegExp(`\\b${name}\\b`))
  }
})

test('the tables of kinds are those of the code', () => {
  const names = builtinKinds.map(({ name }) => name).sort()
  for (const [page, heading] of [
    ['transport', '## Details on the wire'],
    ['wire-format', '| kind '],
  ] as const) {
    const section = pageOf(page).slice(pageOf(page).indexOf(heading)).split('\n\n')
    const table = section.find((part) => part.startsWith('| kind')) as string
    const cells = table
      .split('\n')
      .slice(2)
      .map((row) => row.split('|')[1] as string)
    const listed = cells.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name))
    assert.deepEqual(listed.sort(), names)
  }
})
