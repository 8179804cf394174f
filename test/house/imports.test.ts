import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import test from 'node:test'
import { root } from '../support/paths.js'

/** The rooms, ground floor first: a room imports only from rooms above it in this list, and from itself. */
const ROOMS = [
  'errors.ts',
  'limits.ts',
  'arguments.ts',
  'guarded.ts',
  'diagnostics.ts',
  'own-files.ts',
  'awake.ts',
  'syscalls',
  'runtime',
  'sendmsg',
  'wire',
  'channel',
  'transport',
  'bootstrap',
  'handshake',
  'dispatch',
  'worker',
  'websocket',
  'supervisor',
  'control',
  'admin',
  'index.ts',
  'config',
  'prove',
  'cli',
]

/** Pairs that the order allows and the design does not. */
const NEVER: [from: string, to: string][] = [
  ['wire', 'syscalls'], // pure bytes: no I/O
  ['dispatch', 'channel'], // sees targets, never a channel
  ['dispatch', 'bootstrap'],
  ['handshake', 'channel'],
  ['handshake', 'bootstrap'],
  ['worker', 'dispatch'], // the two ends share channel and wire, nothing else
  ['supervisor', 'worker'],
  ['supervisor', 'websocket'],
]

const src = join(root, 'src')
const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
const roomOf = (file: string): string => file.split('/')[0] as string

function importsOf(file: string): string[] {
  const text = readFileSync(join(src, file), 'utf8')
  const named = [...text.matchAll(/(?:from|import\()\s*'(\.[^']+)\.js'/g)]
  return named.map(([, path]) => normalize(join(dirname(file), `${path}.ts`)))
}

const imports = new Map(files.map((file) => [file, importsOf(file)]))

test('every import is of a file that exists', () => {
  for (const [file, targets] of imports)
    for (const target of targets) assert.ok(files.includes(target), `${file} → ${target}`)
})

test('every file lives in a room of the table', () => {
  for (const file of files) assert.ok(ROOMS.includes(roomOf(file)), `src/${file} is in no room`)
})

test('a room imports only from rooms above it', () => {
  for (const [file, targets] of imports) {
    for (const target of targets) {
      const [from, to] = [roomOf(file), roomOf(target)]
      assert.ok(ROOMS.indexOf(to) <= ROOMS.indexOf(from), `src/${file} imports ${target}, from a room below`)
      assert.ok(
        !NEVER.some(([a, b]) => a === from && b === to),
        `src/${file} imports ${target}: ${from} never imports ${to}`,
      )
    }
  }
})

test('imports close no circle', () => {
  const done = new Set<string>()
  const visit = (file: string, path: string[]): void => {
    assert.ok(!path.includes(file), `a circle: ${[...path.slice(path.indexOf(file)), file].join(' → ')}`)
    if (done.has(file)) return
    for (const target of imports.get(file) ?? []) visit(target, [...path, file])
    done.add(file)
  }
  for (const file of files) visit(file, [])
})

test('files have one job: none is over 300 lines', () => {
  // The list of limits is one list, however long it gets.
  for (const file of files.filter((name) => name !== 'limits.ts')) {
    const lines = readFileSync(join(src, file), 'utf8').split('\n').length
    assert.ok(lines <= 300, `src/${file} has ${lines} lines`)
  }
})

test('only the room runtime/ looks inside Node', () => {
  const hidden =
    /\b_(handle|listen2|connections|pipeName|httpMessage|(readable|writable)State)\b|process\.binding|getOwnPropertySymbols/
  const inside = files.filter((file) => hidden.test(readFileSync(join(src, file), 'utf8')))
  assert.deepEqual([...new Set(inside.map(roomOf))], ['runtime'])
})
