import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { DEFAULTS } from '../../src/config/defaults.js'
import type { ConfigError } from '../../src/config/faults.js'
import { allKeys } from '../../src/config/keys.js'
import { readConfig } from '../../src/config/read.js'
import { schema } from '../../src/config/schema.js'
import { handover } from '../support/command.js'
import { root } from '../support/paths.js'

const page = readFileSync(join(root, 'docs/config.md'), 'utf8')
const keys = page.slice(page.indexOf('## Keys'), page.indexOf('## At a reload'))
const rows = [...keys.matchAll(/^\| `([\w.*]+)` \| (.+?) \| (.+?) \| (.*?) ?\| (.*?) ?\|$/gm)].map(
  ([, key = '', what = '', allowed = '', fallback = '', option = '']) => ({ key, what, allowed, fallback, option }),
)

/** What a fault says may stand at a key. */
function allowedAt(key: string): string | undefined {
  const nothing = Symbol('no value')
  const wrong = key.split('.').reduceRight<unknown>((inner, name, index) => {
    if (name !== '*') return { [name]: inner }
    return index === 1 && key.startsWith('groups') ? { some: inner } : [inner]
  }, nothing)
  try {
    readConfig(wrong, 'file')
  } catch (error) {
    // Others may be there because something is left out.
    const name = key.split('.').at(-1) as string
    const faults = (error as ConfigError).faults.map((fault) => /^file: ([^:]*): (.*), not /.exec(fault))
    return faults.find((fault) => fault?.[1]?.endsWith(name))?.[2]
  }
  return undefined
}

test('the page lists exactly the keys of the schema, in its order', () => {
  assert.deepEqual(
    rows.map(({ key }) => key),
    allKeys(schema),
  )
})

test('what the page allows is what faults say', () => {
  for (const { key, allowed } of rows) assert.equal(allowed, allowedAt(key), key)
})

test('the defaults of the page are those that check tells', () => {
  const top = rows.filter(({ key }) => !key.includes('.'))
  assert.deepEqual(Object.fromEntries(top.map(({ key, fallback }) => [key, fallback])), DEFAULTS)
})

test('the page names every option that has a key, and only such as there are', async (t) => {
  const help = handover(t, ['run', '--help'])
  await help.ended
  const options = [...help.stdout().matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, name = '']) => name)
  const without = ['--config', '--live', '--json', '--no-control', '--help']
  const named = rows.map(({ option }) => option.replaceAll('`', '')).filter((option) => option.startsWith('--'))
  assert.deepEqual(named.sort(), options.filter((name) => !without.includes(name)).sort())
})

test('the example of the page is a configuration', async () => {
  const source =
    /```ts\n([\s\S]*?)```/.exec(page)?.[1]?.replace(/^import .*$/m, 'const defineConfig = (one) => one') ?? ''
  const module = (await import(`data:text/javascript,${encodeURIComponent(source)}`)) as { default: unknown }
  assert.equal(readConfig(module.default, 'x').drainTimeout, 60_000)
})
