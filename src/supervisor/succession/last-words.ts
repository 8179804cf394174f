/**
 * Loaded in a successor before its own program, so that its predecessor can tell whoever asked why it failed: keeps what it
 * writes, and what it throws, in the file that HANDOVER_LAST_WORDS names, until that is gone. Its output stays what it is.
 */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs'
import { HEIR_WORDS_MAX } from '../../limits.js'

const { HANDOVER_LAST_WORDS: path, NODE_OPTIONS = '' } = process.env
// Programs that are started from here do not load this.
const options = NODE_OPTIONS.replace(/\s*--import \S*last-words\.js$/, '')
delete process.env.HANDOVER_LAST_WORDS
if (options === '') delete process.env.NODE_OPTIONS
else process.env.NODE_OPTIONS = options

let listened = path !== undefined

function keep(words: string | Uint8Array): void {
  if (!listened) return
  try {
    // Never made here: who listens no more has removed it.
    const file = openSync(path as string, constants.O_WRONLY | constants.O_APPEND)
    try {
      if (fstatSync(file).size > HEIR_WORDS_MAX) {
        const last = readFileSync(path as string).subarray(-HEIR_WORDS_MAX / 2)
        ftruncateSync(file)
        writeSync(file, last)
      }
      writeSync(file, typeof words === 'string' ? Buffer.from(words) : words)
    } finally {
      closeSync(file)
    }
  } catch {
    listened = false
  }
}

for (const stream of [process.stdout, process.stderr]) {
  const write = stream.write as (...args: unknown[]) => boolean
  stream.write = ((words: string | Uint8Array, ...rest: unknown[]) => {
    keep(words)
    return write.call(stream, words, ...rest)
  }) as typeof stream.write
}

// What ends the process is written by Node itself, past the streams.
process.on('uncaughtExceptionMonitor', (error: unknown) => keep(`${(error as Error | null)?.stack ?? String(error)}\n`))
