import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import { LAST_LINE_LENGTH, LAST_LINES_MAX } from '../../limits.js'
import { ownModule } from '../../own-files.js'

const preload = ownModule('supervisor/succession/last-words.js')

/**
 * What a successor writes until it takes over or fails. Its outputs are this process's own, and are to stay so: what it
 * writes there is kept a second time, in a file of this user's alone. Owns the file.
 */
export class HeirWords {
  /** Null: there is no room for it, and it is done without. */
  readonly #folder: string | null

  constructor() {
    this.#folder = makeFile()
  }

  /** The environment of the successor. */
  environment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
    if (this.#folder === null) return env
    const options = `${env.NODE_OPTIONS ?? ''} --import ${preload.href}`.trim()
    return { ...env, NODE_OPTIONS: options, HANDOVER_LAST_WORDS: fileIn(this.#folder) }
  }

  /** The last lines. */
  get lines(): string[] {
    if (this.#folder === null) return []
    try {
      const lines = stripVTControlCharacters(readFileSync(fileIn(this.#folder), 'utf8'))
        .trimEnd()
        .split('\n')
      return lines
        .filter((line) => line !== '')
        .slice(-LAST_LINES_MAX)
        .map((line) => line.slice(0, LAST_LINE_LENGTH))
    } catch {
      return []
    }
  }

  /** Nobody listens any more. */
  close(): void {
    if (this.#folder === null) return
    try {
      rmSync(this.#folder, { recursive: true, force: true })
    } catch {} // no reason for anything to fail
  }
}

const fileIn = (folder: string): string => join(folder, 'words')

function makeFile(): string | null {
  // The release that this process was started from may have been removed by now.
  if (!existsSync(fileURLToPath(preload))) return null
  try {
    const folder = mkdtempSync(join(tmpdir(), 'handover-heir-'))
    writeFileSync(fileIn(folder), '', { mode: 0o600 })
    return folder
  } catch {
    return null
  }
}
