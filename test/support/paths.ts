import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'

/** dist/test/support/ → the package's root. */
export const root = fileURLToPath(new URL('../../../', import.meta.url))

/** The command, as users have it. What it starts loads the library as they do too: by the package's name. */
export const bin = join(root, 'dist/lib/cli/bin.js')

/** A program of test/fixtures/, run as it is written. */
export const fixture = (name: string): string => join(root, 'test/fixtures', name)

/** A folder that goes with the test. */
export function scratch(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'handover-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
