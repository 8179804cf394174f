import assert from 'node:assert/strict'
import { readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { findConfig } from '../../src/config/find.js'
import { loadConfig } from '../../src/config/load.js'
import { UsageError } from '../../src/config/usage-error.js'
import { folderOf } from '../support/configured.js'
import { root } from '../support/paths.js'

const TYPED = `
import { defineConfig, type HandoverConfig } from 'handover/config'
import { count } from './count.mjs'
const config: HandoverConfig = { workers: count }
export default defineConfig(async (): Promise<HandoverConfig> => config)
`
const COUNT = { 'count.mjs': 'export const count = 3' }

const forms: [file: string, text: string][] = [
  ['handover.config.json', '\ufeff{ "workers": 3 }'],
  ['handover.config.js', 'module.exports = { workers: 3 }'],
  ['handover.config.cjs', 'module.exports = async () => ({ workers: 3 })'],
  ['handover.config.mjs', "import { count } from './count.mjs'\nexport default () => ({ workers: count })"],
  ['handover.config.ts', TYPED],
  ['handover.config.mts', TYPED],
]

for (const [file, text] of forms) {
  test(`${file} of the folder is found and read`, async (t) => {
    const folder = folderOf(t, { ...COUNT, [file]: text })
    symlinkSync(join(root, 'node_modules/typescript'), join(folder, 'node_modules/typescript'))
    const path = findConfig(undefined, folder)
    assert.equal(path, join(folder, file))
    assert.deepEqual((await loadConfig(path)).values, { workers: 3 })
    assert.deepEqual(readdirSync(folder).sort(), ['count.mjs', file, 'node_modules'], 'nothing is left beside it')
  })

  test(`${file} is read again as it is by then`, async (t) => {
    const head = file.endsWith('json') ? '' : /\.c?js$/.test(file) ? 'module.exports = ' : 'export default '
    const path = join(folderOf(t, { [file]: `${head}{ "workers": 2 }` }), file)
    symlinkSync(join(root, 'node_modules/typescript'), join(path, '../node_modules/typescript'))
    assert.deepEqual((await loadConfig(path)).values, { workers: 2 })
    writeFileSync(path, `${head}{ "workers": 4 }`)
    assert.deepEqual((await loadConfig(path)).values, { workers: 4 })
  })
}

const broken: [rule: string, file: string, text: string, message: RegExp][] = [
  [
    'JSON that is none',
    'handover.config.json',
    '{\n  "workers": 2,,\n}',
    /^handover\.config\.json:2:\d+ is no JSON: Expected double-quoted property name/,
  ],
  [
    'a module that does not parse',
    'handover.config.mjs',
    'export default {\n  workers: 2,,\n}',
    /^handover\.config\.mjs:2 cannot be loaded: SyntaxError: Unexpected token ','$/,
  ],
  [
    'CommonJS that does not parse',
    'handover.config.cjs',
    'module.exports = {\n  workers: 2,,\n}',
    /^handover\.config\.cjs:2 cannot be loaded: SyntaxError/,
  ],
  [
    'TypeScript that does not parse',
    'handover.config.ts',
    'export default {\n  workers: 2 as,,\n}',
    /^handover\.config\.ts(:2)? cannot be loaded: /,
  ],
  [
    'a module that throws',
    'handover.config.mjs',
    "throw new TypeError('at\\nimport')",
    /^handover\.config\.mjs cannot be loaded: TypeError: at$/,
  ],
  [
    'a module that imports what is not there',
    'handover.config.mjs',
    "import './gone.mjs'",
    /cannot be loaded: Cannot find module/,
  ],
  [
    'a module without a default export',
    'handover.config.mjs',
    'export const workers = 2',
    /has no default export: export the configuration, or a function$/,
  ],
  [
    'a function that rejects',
    'handover.config.mjs',
    "export default async () => { throw new Error('no') }",
    /^handover\.config\.mjs: its function threw: no$/,
  ],
]

for (const [rule, file, text, message] of broken) {
  test(`${rule} is one line that names the file`, async (t) => {
    const folder = folderOf(t, { [file]: text })
    symlinkSync(join(root, 'node_modules/typescript'), join(folder, 'node_modules/typescript'))
    await assert.rejects(loadConfig(join(folder, file)), (error: Error) => {
      assert.ok(error instanceof UsageError)
      assert.match(error.message, message)
      assert.ok(!error.message.includes('\n'))
      return true
    })
  })
}

test('TypeScript without anything that reads it is one line that says what to do', {
  skip: !!(process.features as { typescript?: unknown }).typescript,
}, async (t) => {
  const path = join(
    folderOf(t, { 'handover.config.ts': 'export default { workers: 2 as number }' }),
    'handover.config.ts',
  )
  await assert.rejects(
    loadConfig(path),
    /reads no TypeScript: take Node 22\.18 or later, install typescript in .*, or write it as \.js$/,
  )
})

test('two of them are one too many', (t) => {
  const folder = folderOf(t, { 'handover.config.ts': '', 'handover.config.json': {} })
  assert.throws(
    () => findConfig(undefined, folder),
    /handover\.config\.ts and handover\.config\.json in .*: keep one, or name it with --config/,
  )
})

test('a folder without one has none; a name that is not there is a fault', (t) => {
  const folder = folderOf(t, { 'other.toml': '' })
  assert.equal(findConfig(undefined, folder), null)
  assert.throws(() => findConfig('none.json', folder), /--config none\.json: there is no such file/)
  assert.throws(() => findConfig('other.toml', folder), /--config other\.toml: it ends with none of \.ts, /)
})
