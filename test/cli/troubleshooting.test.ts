import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { root } from '../support/paths.js'

const page = readFileSync(join(root, 'docs/troubleshooting.md'), 'utf8')

const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => readFileSync(join(root, 'src', name), 'utf8'))
  .join('\n')
  // What stands in the code as `${…}`, the page has as `…`; a quote of the code's own may be escaped.
  .replace(/\$\{(?:[^{}]|\{[^{}]*\})*\}/g, '…')
  .replace(/\\(['"`])/g, '$1')

/** Not of this code: Node's own words, Socket.IO's, commander's, names of errors and of what is set by hand. */
const ELSEWHERE = [
  'TypeError: process.send is not a function',
  'Session ID unknown',
  'too many arguments for …',
  'signal SIGKILL',
  'reload',
  'share',
  'run',
  'drainTimeout',
  'readiness.explicit',
  'EADDRINUSE',
  'EACCES',
]

/** Words between the gaps of a quotation. */
const pieces = (quotation: string): string[] =>
  quotation
    .split('…')
    .map((piece) => piece.trim())
    .filter((piece) => /[a-z]{2}/i.test(piece))

test('every line that the page quotes is one of the code', () => {
  const symptoms = [...page.matchAll(/^\| (?!you see|---)([^|]*) \|/gm)].map(([, cell]) => cell as string)
  const quotations = symptoms
    .flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text as string))
    .filter((text) => !ELSEWHERE.includes(text))
  assert.ok(quotations.length > 35, `${quotations.length} quotations were found`)
  const missing = quotations.filter((text) => pieces(text).some((piece) => !sources.includes(piece)))
  assert.deepEqual(missing, [])
})
