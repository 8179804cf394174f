import { statSync } from 'node:fs'
import { isAbsolute } from 'node:path'

/** @throws {TypeError} it is none */
export function absoluteScript(name: string, script: unknown): string {
  if (typeof script === 'string' && isAbsolute(script)) return script
  throw new TypeError(`${name}: an absolute path, not ${JSON.stringify(script)}`)
}

/** @throws {TypeError} there is no such file */
export function checkScript(script: string): void {
  if (!statSync(script, { throwIfNoEntry: false })?.isFile()) throw new TypeError(`script: there is no file ${script}`)
}
