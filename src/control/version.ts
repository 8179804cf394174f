import { readFileSync } from 'node:fs'

/** The release of this package, as its package.json has it. */
export const handoverVersion: string = (
  JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string }
).version
