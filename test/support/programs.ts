import { spawn, spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { type EventEmitter, once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import type { Supervisor } from '../../src/index.js'
import { scratch } from './paths.js'
import { until } from './wait.js'

/** What programs written for a test say: `say('what', value)` is a line of JSON on standard output. */
const SAY = `const say = (what, value = null) => console.log(JSON.stringify({ what, value, worker: process.env.HANDOVER_WORKER ?? '' }))\n`

/** Writes a program of a few lines, which goes with the test. `name` says whether it is a module. */
export function program(t: TestContext, source: string, name = 'app.mjs'): string {
  const path = join(scratch(t), name)
  writeFileSync(path, SAY + source)
  return path
}

/** Anything that collects a program's output. */
export interface Heard {
  lines: string[]
}

/** What programs said of something, in order, all workers together. */
export function said<Value>({ lines }: Heard, what: string): Value[] {
  return lines
    .filter((line) => line.startsWith(`{"what":"${what}"`))
    .map((line) => (JSON.parse(line) as { value: Value }).value)
}

/** Waits until something was said so often. */
export async function heard<Value>(from: Heard, what: string, count = 1): Promise<Value[]> {
  await until(`"${what}" is said ${count} times`, () => said(from, what).length >= count).catch((error: Error) => {
    throw new Error(`${error.message}\n${from.lines.join('\n')}`)
  })
  return said<Value>(from, what)
}

export interface Plain extends Heard {
  /** The exit code, or the signal. */
  ended: Promise<number | NodeJS.Signals | null>
}

/** Runs a program with Node alone, no master: what it says then is what it should say under one. */
export function plainly(t: TestContext, script: string, env: NodeJS.ProcessEnv = {}): Plain {
  const child = spawn(process.execPath, [script], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.once('exit', (code, signal) => resolve(code ?? signal))
  })
  t.after(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const lines: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => lines.push(line))
  }
  return { lines, ended }
}

/**
 * Asks again and again, until each of `answerers` has answered; fails after 50 answers, or at an unknown answerer. With
 * pauses: who gets no processor for a while has not told that its connections have ended, and is given no others.
 */
export async function fromEach<Name extends string | number>(
  answerers: readonly Name[],
  ask: (turn: number) => Promise<Name>,
): Promise<void> {
  const missing = new Set(answerers)
  let turn = 0
  await until(`each of ${answerers.join(', ')} answers`, async () => {
    const name = await ask(turn++)
    if (!answerers.includes(name)) throw new Error(`an answer of ${name}, who is none of ${answerers.join(', ')}`)
    missing.delete(name)
    if (missing.size > 0 && turn > 50) throw new Error(`50 answers, and none of ${[...missing].join(', ')}`)
    return missing.size === 0
  })
}

/** Waits until the master has been told of the end of every connection. */
export async function allClosed(supervisor: Supervisor): Promise<void> {
  const open = (): number => supervisor.status().workers.reduce((sum, one) => sum + one.open + one.unclaimed, 0)
  await until('every connection is reported closed', () => open() === 0).catch((error: Error) => {
    throw new Error(`${error.message} (${open()} are not)`)
  })
}

/** Settles when a connection is closed, however it came about. */
export function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) resolve()
    socket.on('error', () => {}).once('close', () => resolve())
  })
}

/** The arguments of an event of a connection; fails when it closes before. */
export function next(connection: EventEmitter, event: string): Promise<unknown[]> {
  return new Promise((resolve, reject) => {
    connection.once('close', () => reject(new Error(`closed before "${event}"`)))
    connection.once('error', reject)
    connection.once(event, (...values: unknown[]) => resolve(values))
  })
}

/** A port that was free just now, on every address, and is none of those that systems give to others by themselves. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_000)
    const server = createServer().listen(port)
    try {
      await once(server, 'listening')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') continue
      throw error
    }
    server.close()
    await once(server, 'close')
    return port
  }
}

/** A key and a certificate for localhost, signed by itself, as files that go with the test. */
export function certificate(t: TestContext): { keyFile: string; certFile: string; cert: Buffer } {
  const folder = scratch(t)
  const keyFile = join(folder, 'key.pem')
  const certFile = join(folder, 'cert.pem')
  const made = spawnSync('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...['-keyout', keyFile, '-out', certFile, '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'],
  ])
  if (made.status !== 0) throw new Error(`openssl: ${made.stderr}`)
  return { keyFile, certFile, cert: readFileSync(certFile) }
}

/** What a program with an environment of its own needs to load an addon that is built with sanitizers. */
export const sanitizers = Object.fromEntries<string>(
  ['LD_PRELOAD', 'ASAN_OPTIONS', 'UBSAN_OPTIONS'].flatMap((name) =>
    process.env[name] === undefined ? [] : [[name, process.env[name] as string]],
  ),
)
