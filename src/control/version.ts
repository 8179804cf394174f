import { readFileSync } from 'node:fs'
import { packageFile } from '../own-files.js'

/** The release of this package, as its package.json has it. */
export const handoverVersion: string = (
  JSON.parse(readFileSync(packageFile('package.json'), 'utf8')) as { version: string }
).version
