// A fuzzer of the parsers of first bytes (src/handshake/): mutates what real clients said and the examples beside this
// file, cuts it anywhere, and holds every parser to its rules. Deterministic: the same --seed, the same inputs in the same
// order. Needs the build (`npm run build:ts`).
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { messageIn, recordedHellos, records } from '../dist/test/support/client-hellos.js'
import { subjects } from '../dist/test/support/first-bytes-subjects.js'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '20' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
  },
})
for (const name of ['seconds', 'seed']) {
  if (/^\d+$/.test(values[name])) continue
  console.error(`--${name}: a whole number, not ${values[name]}`)
  process.exit(1)
}

/** Milliseconds that one input may take, of any length: far more than the slowest does, far less than a quadratic one. */
const SLOW = 2_000
const LENGTH_MAX = 80_000
const corpus = new URL('corpus/handshake/', import.meta.url)
const examples = readdirSync(corpus)
  .sort()
  .map((name) => readFileSync(new URL(name, corpus)))
const hellos = recordedHellos().map(({ bytes }) => bytes)
const seeds = [...hellos, ...examples, ...examples]

/** mulberry32: small, and good enough to choose with. */
let state = Number(values.seed)
function random(below) {
  state = (state + 0x6d2b79f5) | 0
  let next = Math.imul(state ^ (state >>> 15), 1 | state)
  next = (next + Math.imul(next ^ (next >>> 7), 61 | next)) ^ next
  return ((next ^ (next >>> 14)) >>> 0) % below
}
const one = (list) => list[random(list.length)]

const BYTES = [0, 1, 3, 4, 9, 10, 13, 22, 32, 35, 37, 46, 47, 58, 63, 64, 92, 127, 128, 255]
const WORDS = ['\r\n', '\n\n', 'Host: a\r\n', '/../', '%2e', '//', 'HTTP/1.1', 'PROXY ', ' ', ':', '~'].map((word) =>
  Buffer.from(word),
)

/** What one step makes of some bytes. */
const steps = [
  (bytes, at) => bytes.fill(bytes[at] ^ (1 << random(8)), at, at + 1),
  (bytes, at) => bytes.fill(one(BYTES), at, at + 1),
  (bytes, at) => bytes.fill((bytes[at] + one([1, 255])) & 255, at, at + 1),
  (bytes, at) => splice(bytes, at, 0, Buffer.from([one(BYTES)])),
  (bytes, at) => splice(bytes, at, 1 + random(8), Buffer.alloc(0)),
  (bytes, at) => splice(bytes, at, 0, one(WORDS)),
  (bytes, at) => splice(bytes, at, random(2), bytes.subarray(at, at + 1 + random(40))),
  (bytes, at) => splice(bytes, at, bytes.length, one(seeds).subarray(random(30))),
  (bytes, at) => bytes.subarray(0, at),
  (bytes) => Buffer.concat([one(seeds), bytes]),
  (bytes, at) =>
    splice(
      bytes,
      at,
      0,
      Buffer.alloc(random(random(20) === 0 ? LENGTH_MAX : 300), bytes.subarray(at, at + 1 + random(9))),
    ),
]
function splice(bytes, at, count, put) {
  return Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + count)])
}

function input() {
  const seed = one(seeds)
  let bytes = Buffer.from(seed)
  if (hellos.includes(seed) && random(2) === 0) {
    const message = messageIn(bytes)
    for (let i = random(3); i > 0; i--) message[random(message.length)] = one(BYTES)
    bytes = records(message, 1 + random(600), 1 + random(60))
  }
  for (let i = random(6); i > 0 && bytes.length > 0; i--) bytes = one(steps)(bytes, random(bytes.length))
  return bytes.subarray(0, LENGTH_MAX)
}

console.log(`fuzzing the parsers of first bytes for ${values.seconds} s, --seed=${values.seed}`)
const end = performance.now() + Number(values.seconds) * 1000
let inputs = 0
for (; performance.now() < end; inputs++) {
  const bytes = input()
  const at = Array.from({ length: 12 }, () => random(bytes.length + 1)).sort((a, b) => a - b)
  for (const { name, check } of subjects) {
    const start = performance.now()
    let wrong = null
    try {
      check(bytes, [...at, bytes.length])
    } catch (error) {
      wrong = error
    }
    const took = performance.now() - start
    if (wrong === null && took < SLOW) continue
    mkdirSync('build/fuzz', { recursive: true })
    writeFileSync('build/fuzz/handshake-finding', bytes)
    console.error(wrong ?? `it took ${Math.round(took)} ms`)
    console.error(
      `${name} broke a rule with input ${inputs}, ${bytes.length} bytes cut at ${at}; it is kept in build/fuzz/handshake-finding.\n` +
        `To see it again: node fuzz/handshake.mjs --seconds=${values.seconds} --seed=${values.seed}`,
    )
    process.exit(1)
  }
}
console.log(`nothing found in ${inputs} inputs`)
