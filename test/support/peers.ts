/** Other processes at the other end of a channel: `test/fixtures/bootstrap-peer.mjs`, which says what comes of it. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { TestContext } from 'node:test'
import { fixture, scratch } from './paths.js'
import { heard, said } from './programs.js'

/** A user that is nobody here; nothing is theirs. */
export const STRANGER = 54_321

/** An error as the other process tells it. */
export interface Told {
  name: string
  code: string
  message: string
  hint: string
  syscall?: string
}

export type Peering = 'connect' | 'listen' | 'inherited' | 'ipc' | 'lend' | 'take' | 'silent' | 'nothing'

export interface ChannelPeer {
  readonly child: ChildProcess
  readonly pid: number
  readonly lines: string[]
  /** Waits until it has said something so often; gives the last value. */
  hears<Value>(what: string, count?: number): Promise<Value>
  /** What it said of something so far. */
  said<Value>(what: string): Value[]
  /** Has it do something. */
  order(order: object): void
  /** Ends it at once, and waits for that. */
  kill(): Promise<void>
  /** The exit code, or the signal. */
  readonly ended: Promise<number | NodeJS.Signals | null>
}

/** The arguments of Node that make it such a peer. */
export function peerArguments(how: Peering, address = '', options: object = {}): string[] {
  return [fixture('bootstrap-peer.mjs'), how, address, JSON.stringify(options)]
}

/** Looks after a child that is such a peer, and ends it with the test. */
export function watched(t: TestContext, child: ChildProcess): ChannelPeer {
  const lines: string[] = []
  for (const stream of [child.stdout, child.stderr].filter((each): each is Readable => each !== null)) {
    createInterface({ input: stream }).on('line', (line) => lines.push(line))
  }
  child.stdin?.on('error', () => {}) // told by its end
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.once('error', () => resolve(null))
    child.once('close', (code, signal) => resolve(code ?? signal))
  })
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    child.stdin?.destroy()
    await ended
  }
  t.after(kill)
  return {
    child,
    pid: child.pid ?? 0,
    lines,
    ended,
    kill,
    hears: async <Value>(what: string, count = 1) => (await heard<Value>({ lines }, what, count)).at(-1) as Value,
    said: <Value>(what: string) => said<Value>({ lines }, what),
    order: (order) => void child.stdin?.write(`${JSON.stringify(order)}\n`),
  }
}

/** Starts such a peer, and ends it with the test. */
export function peer(
  t: TestContext,
  how: Peering,
  address = '',
  options: object = {},
  { cwd }: { cwd?: string } = {},
): ChannelPeer {
  const stdio: ('pipe' | 'inherit')[] = ['pipe', 'pipe', 'pipe']
  return watched(t, spawn(process.execPath, peerArguments(how, address, options), { stdio, ...(cwd && { cwd }) }))
}

/** A path for a socket that every user may reach. */
export function openPath(t: TestContext, name = 'socket'): string {
  const folder = scratch(t)
  chmodSync(folder, 0o755)
  return join(folder, name)
}

/** For `assert.rejects`: the error's code, and what its message and hint say. */
export function error(code: string, says = /./, hint = /./): (thrown: unknown) => boolean {
  return (thrown) => {
    const told = thrown as Told
    assert.equal(told.code, code, `${thrown}`)
    assert.match(told.message, says)
    assert.match(told.hint ?? '', hint)
    return true
  }
}

/** What settles soon, or fails: so that a test of what does not settle ends by itself. */
export async function soon<Value>(settling: Promise<Value>, what = 'it settles'): Promise<Value> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within 30 s: ${what}`)), 30_000)
  })
  try {
    return await Promise.race([settling, late])
  } finally {
    clearTimeout(timer)
  }
}
