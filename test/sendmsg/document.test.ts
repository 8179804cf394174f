import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import * as sendmsg from '../../src/sendmsg/index.js'
import * as constants from '../../src/syscalls/constants.js'
import { kernel } from '../../src/syscalls/kernel.js'
import { command } from '../support/command.js'
import { root, scratch } from '../support/paths.js'

const page = readFileSync(join(root, 'docs/sendmsg.md'), 'utf8')
const codes = (text: string): string[] => [...text.matchAll(/\bE[A-Z]{3,}\d?\b/g)].map(([code]) => code).sort()

/** The part of the page under a heading of level 3. */
function section(name: string): string {
  const found = page.split(/^#{2,3} /m).find((part) => part.startsWith(`${name}(`) || part.startsWith(`new ${name}(`))
  assert.ok(found !== undefined, `docs/sendmsg.md has no section ${name}(`)
  return found
}

/** The doc comment of every exported function of the room, by the function's name. */
const comments = new Map<string, string>()
for (const file of readdirSync(join(root, 'src/sendmsg'))) {
  const source = readFileSync(join(root, 'src/sendmsg', file), 'utf8')
  const pattern = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\nexport (?:async )?function (\w+)/g
  for (const [, comment, name] of source.matchAll(pattern)) comments.set(name as string, comment as string)
}

const functions = Object.entries(sendmsg)
  .filter(([, value]) => typeof value === 'function')
  .map(([name]) => name)
  .filter((name) => comments.has(name))

test('the page has a section for every function', () => {
  assert.ok(functions.length > 25, functions.join(' '))
  for (const name of functions) section(name)
  section('Descriptor')
})

test('the page lists exactly the errors of every function’s comment', () => {
  for (const name of functions) {
    const thrown = /@throws \{SyscallError\}([\s\S]*?)(?=\n \* @|$)/.exec(comments.get(name) as string)?.[1] ?? ''
    const listed = /^Errors: ([\s\S]*?)\.$/m.exec(section(name))?.[1] ?? ''
    assert.deepEqual(codes(listed), codes(thrown), name)
  }
})

test('the page lists exactly the codecs of the code', () => {
  const table = page.slice(page.indexOf('| codec '), page.indexOf('Any other type'))
  const listed = [...table.matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name)
  const codecs = Object.entries(sendmsg).filter(([, value]) => typeof value === 'function' && 'decode' in value)
  assert.deepEqual(listed.sort(), codecs.map(([name]) => name).sort())
})

test('every export is a function, a codec, a class, a constant or a list the page names', () => {
  for (const [name, value] of Object.entries(sendmsg)) {
    if (name in constants) continue
    assert.ok(page.includes(name), `docs/sendmsg.md does not name ${name}`)
    assert.ok(typeof value === 'function' || name === 'socketOptionNames', name)
  }
})

test('every constant of the addon has its name exported, with its number', () => {
  const exported = constants as unknown as Record<string, number | undefined>
  for (const [name, number] of Object.entries(kernel.constants)) {
    if (/^(UV_|POLL|TIMEVAL_|EXCHANGE_|CONTROL_|ADDRESS_|PARTS_)/.test(name)) continue
    assert.equal(exported[name], number, name)
  }
  for (const name of Object.keys(exported)) {
    if (process.platform === 'linux') assert.equal(typeof exported[name], 'number', name)
  }
})

test('every example of the page runs', async (t) => {
  const examples = [...page.matchAll(/^```js\n([\s\S]*?)^```/gm)].map(([, code]) => code as string)
  assert.ok(examples.length >= 5)
  for (const [i, code] of examples.entries()) {
    const file = join(scratch(t), `example-${i}.mjs`)
    const entry = join(root, 'dist/src/sendmsg/index.js')
    writeFileSync(file, code.replace("'handover/sendmsg'", JSON.stringify(entry)))
    const run = command(t, process.execPath, [file])
    assert.equal(await run.ended, 0, `${code}\n${run.stderr()}`)
    assert.notEqual(run.stdout(), '', code)
  }
})
