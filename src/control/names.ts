import { basename, extname } from 'node:path'
import { shown } from '../arguments.js'
import { CONTROL_NAME_MAX } from '../limits.js'

const NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/

/** What a supervisor is called unless told otherwise: after its script, `server.js` → `server`. */
export function nameOfScript(script: string): string {
  const plain = basename(script, extname(script)).replace(/[^A-Za-z0-9._-]+/g, '-')
  const name = plain.replace(/^[-.]+/, '').slice(0, CONTROL_NAME_MAX)
  return NAME.test(name) ? name : 'handover'
}

/** @throws {TypeError} it is no name for a supervisor */
export function checkName(name: unknown): string {
  if (typeof name === 'string' && NAME.test(name) && name.length <= CONTROL_NAME_MAX) return name
  throw new TypeError(
    `name: 1 to ${CONTROL_NAME_MAX} letters, digits, "_", "-" and ".", the first no "-" or ".", not ${shown(name)}`,
  )
}
