import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { extname } from 'node:path'
import { pathToFileURL } from 'node:url'
import { UsageError } from './usage-error.js'

/** How often modules were asked for: each time is another module for Node, as files change. */
let times = 0

/**
 * Imports a module as it is on disk now, again if it was imported before; what it imports itself stays as it was.
 * @throws {UsageError} it cannot be loaded: `name`, where, and why
 */
export async function importModule(path: string, name: string): Promise<Record<string, unknown>> {
  const { cache } = createRequire(path)
  delete cache[path]
  try {
    return (await import(`${pathToFileURL(path).href}?handover=${++times}`)) as Record<string, unknown>
  } catch (error) {
    const syntax = error instanceof SyntaxError ? await syntaxFault(path) : null
    throw new UsageError(
      `${name}${syntax === null ? '' : `:${syntax.line}`} cannot be loaded: ${syntax?.text ?? why(error)}`,
    )
  }
}

/** Reads JSON. @throws {UsageError} it is none, and where */
export function readJson(path: string, name: string): unknown {
  const text = readFileSync(path, 'utf8').replace(/^\ufeff/, '')
  try {
    return JSON.parse(text)
  } catch (error) {
    const { message } = error as Error
    const at = / position (\d+)/.exec(message)?.[1]
    const before = at === undefined ? null : text.slice(0, Number(at)).split('\n')
    const where = before === null ? '' : `:${before.length}:${(before.at(-1) as string).length + 1}`
    throw new UsageError(`${name}${where} is no JSON: ${message.replace(/ \(line.*$/, '').replace(/\s+/g, ' ')}`)
  }
}

/** What Node finds wrong with a program's syntax, without running it. @returns null: nothing, or nothing it can tell */
export function syntaxFault(path: string): Promise<{ line: number; text: string } | null> {
  if (extname(path).endsWith('ts')) return Promise.resolve(null)
  return new Promise((resolve) => {
    execFile(process.execPath, ['--check', path], { timeout: 10_000 }, (error, _out, said) => {
      const line = /^(?:file:\/\/)?.*:(\d+)$/m.exec(said)?.[1]
      const text = /^\w*Error: .*$/m.exec(said)?.[0]
      resolve(error === null || line === undefined || text === undefined ? null : { line: Number(line), text })
    })
  })
}

/** One line of an error, whatever was thrown. */
export function why(error: unknown): string {
  const text =
    error instanceof Error ? `${error.name === 'Error' ? '' : `${error.name}: `}${error.message}` : String(error)
  return text.split('\n')[0] as string
}
