/** What users load is made of src/, and complete. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { root } from '../support/paths.js'

interface Manifest {
  bin: Record<string, string>
  exports: Record<string, string | { default: string }>
}

const sources = (readdirSync(join(root, 'src'), { recursive: true }) as string[])
  .filter((path) => path.endsWith('.ts'))
  .map((path) => ({ path, text: readFileSync(join(root, 'src', path), 'utf8') }))

test('what the package names for its users is there', () => {
  const { bin, exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest
  const named = [
    ...Object.values(bin),
    ...Object.values(exports).map((to) => (typeof to === 'string' ? to : to.default)),
  ]
  assert.ok(named.length > 6, String(named))
  for (const path of named) assert.ok(existsSync(join(root, path)), `${path}: add it to scripts/modules.mjs`)
})

test('each module that another process is started with has a file in the bundles', () => {
  const named = sources.flatMap(({ text }) =>
    [...text.matchAll(/(?:ownModule|new Helper)\('([^']+)'\)/g)].map((found) => found[1] as string),
  )
  assert.ok(named.length >= 6, String(named))
  for (const path of named)
    assert.ok(existsSync(join(root, 'dist/lib', path)), `${path}: add it to scripts/modules.mjs`)
})

test('only own-files asks where it is: in a bundle the others are elsewhere', () => {
  const asking = sources.filter(({ text }) => text.includes('import.meta'))
  assert.deepEqual(
    asking.map(({ path }) => path),
    ['own-files.ts'],
  )
})
