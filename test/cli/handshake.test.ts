import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { handover } from '../support/command.js'
import { fixture, scratch } from '../support/paths.js'

const wrong: [rule: string, module: string, message: RegExp][] = [
  ['an unknown option', 'export default { inspect: () => ({}), tiem: 5 }', /routes.mjs: tiem: no such option/],
  [
    'a group with an unknown option',
    'export const groups = { a: { worker: 2 } }; export default () => ({})',
    /routes.mjs: worker: no such option/,
  ],
  [
    'a port as text',
    "export default { inspect: () => ({}), ports: ['80'] }",
    /routes.mjs: handshake.ports\[0\]: a port number or a path, not the string "80"/,
  ],
  ['a module that throws something else', "throw 'no'", /routes.mjs cannot be loaded: no/],
]

for (const [rule, module, message] of wrong) {
  test(`${rule} is bad usage, said in one line`, async (t) => {
    const path = join(scratch(t), 'routes.mjs')
    writeFileSync(path, module)
    const run = handover(t, ['run', '--handshake', path, fixture('ends.mjs')])
    assert.equal(await run.ended, 100)
    assert.match(run.stderr(), message)
    assert.equal(run.stderr().trimEnd().split('\n').length, 1)
  })
}
