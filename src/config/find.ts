import { statSync } from 'node:fs'
import { extname, join, resolve } from 'node:path'
import { UsageError } from './usage-error.js'

const ENDINGS = ['ts', 'mts', 'js', 'mjs', 'cjs', 'json'] as const
/** Names a configuration is found by, if none is given. */
export const CONFIG_NAMES: readonly string[] = ENDINGS.map((ending) => `handover.config.${ending}`)

/**
 * The configuration of a folder, or the one that is named.
 * @returns an absolute path; null: none was named and none is there
 * @throws {UsageError} the one that is named is not there or of no kind that can be read; there are several
 */
export function findConfig(named: string | undefined, cwd: string): string | null {
  if (named !== undefined) return checkedPath(named, cwd)
  const found = CONFIG_NAMES.filter((name) => isFile(join(cwd, name)))
  if (found.length > 1) {
    throw new UsageError(`there are ${found.join(' and ')} in ${cwd}: keep one, or name it with --config`)
  }
  return found[0] === undefined ? null : join(cwd, found[0])
}

function checkedPath(named: string, cwd: string): string {
  const path = resolve(cwd, named)
  if (!isFile(path)) throw new UsageError(`--config ${named}: there is no such file in ${cwd}: check the path`)
  if (!(ENDINGS as readonly string[]).includes(extname(path).slice(1))) {
    throw new UsageError(`--config ${named}: it ends with none of ${ENDINGS.map((one) => `.${one}`).join(', ')}`)
  }
  return path
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false
}
