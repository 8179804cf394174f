import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { fstatSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import {
  type Address,
  AF_INET,
  AF_INET6,
  type Descriptor,
  type DescriptorLike,
  type ReceivedMessage,
  readable,
  recvmsg,
  SOCK_DGRAM,
  SOCK_SEQPACKET,
  SOCK_STREAM,
  socketpair,
} from '../../src/sendmsg/index.js'
import { root } from './paths.js'

/** What a Python has to be able to do, in Python, and what to install for it. */
const NEEDS = {
  cpython: { check: 'import socket; socket.send_fds', needs: 'python3 (3.9 or later)' },
  twisted: { check: 'import twisted.python.sendmsg', needs: 'python3-twisted' },
} as const

export interface Interpreter {
  executable: string | null
  /** What to install where there is none. */
  needs: string
  /** For the options of a test. Where HANDOVER_PEERS=required, nothing is skipped: what is missing fails. */
  skip: string | false
}

/** The first Python that has what is needed; the system's own may have packages that the first on the path lacks. */
export function interpreter(need: keyof typeof NEEDS): Interpreter {
  const { check, needs } = NEEDS[need]
  for (const candidate of ['python3', '/usr/bin/python3']) {
    // The name on the path may be a script that starts the interpreter.
    const asked = spawnSync(candidate, ['-c', `${check}\nimport sys; print(sys.executable)`], { encoding: 'utf8' })
    if (asked.status === 0) return { executable: asked.stdout.trim(), needs, skip: false }
  }
  return { executable: null, needs, skip: process.env.HANDOVER_PEERS !== 'required' && `needs ${needs}` }
}

/** An exception in the peer: its type, and the name of its errno if it has one. */
export class PythonError extends Error {
  override readonly name = 'PythonError'
  constructor(
    readonly type: string,
    readonly code: string,
    message: string,
  ) {
    super(`${type}: ${message}`)
  }
}

export interface Python {
  readonly pid: number
  /** Runs Python in the peer and gives the value of the last expression; `names` are set before. */
  run<Value>(code: string, names?: Record<string, unknown>): Promise<Value>
  /** The next thing that the peer tells on its own account, in order. */
  event<Value>(): Promise<Value>
}

interface Asked {
  resolve(value: unknown): void
  reject(error: Error): void
}
type Line = { value: unknown } | { event: unknown } | { error: string; code: string; message: string }

/** Starts a program of test/interop/peers/ and ends it with the test. */
export function python(
  t: TestContext,
  { executable, needs }: Interpreter,
  { program = 'evaluate.py', args = [], channel }: { program?: string; args?: string[]; channel?: DescriptorLike } = {},
): Python {
  assert.ok(executable !== null, `HANDOVER_PEERS=required: this test needs ${needs}`)
  const inherited = channel === undefined ? [] : [typeof channel === 'number' ? channel : channel.fd]
  const script = join(root, 'test/interop/peers', program)
  const given = [...args, ...(channel === undefined ? [] : ['channel'])]
  const child = spawn(executable, ['-B', script, ...given], { stdio: ['pipe', 'pipe', 'pipe', ...inherited] })
  const { stdin, stdout, stderr } = child
  assert.ok(stdin && stdout && stderr)
  const asked: Asked[] = []
  const events: unknown[] = []
  const awaiting: Asked[] = []
  let complaints = ''
  let over: Error | null = null
  stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints += text
  })
  stdin.on('error', () => {}) // told by the process's end
  createInterface({ input: stdout }).on('line', (text) => {
    const line = JSON.parse(text) as Line
    if ('event' in line) {
      const first = awaiting.shift()
      if (first === undefined) events.push(line.event)
      else first.resolve(line.event)
    } else if ('error' in line) asked.shift()?.reject(new PythonError(line.error, line.code, line.message))
    else asked.shift()?.resolve(line.value)
  })
  const ended = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      complaints += error.message
    })
    child.once('close', (code, signal) => {
      over = new Error(`the Python process ended (${code ?? signal})\n${complaints}`)
      for (const { reject } of [...asked.splice(0), ...awaiting.splice(0)]) reject(over)
      resolve()
    })
  })
  t.after(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return {
    pid: child.pid ?? 0,
    run: <Value>(code: string, names: Record<string, unknown> = {}) =>
      new Promise<Value>((resolve, reject) => {
        if (over !== null) return reject(over)
        asked.push({ resolve: resolve as Asked['resolve'], reject })
        stdin.write(`${JSON.stringify({ code, names })}\n`)
      }),
    event: <Value>() =>
      new Promise<Value>((resolve, reject) => {
        if (events.length > 0) return resolve(events.shift() as Value)
        if (over !== null) return reject(over)
        awaiting.push({ resolve: resolve as Asked['resolve'], reject })
      }),
  }
}

/** The kinds of UNIX sockets, by name. */
export const UNIX_KINDS = [
  ['stream', SOCK_STREAM],
  ['datagram', SOCK_DGRAM],
  ['seqpacket', SOCK_SEQPACKET],
] as const

/** A Python process whose `channel` is connected to a socket of ours, which is closed with the test. */
export function connectedPython(
  t: TestContext,
  found: Interpreter,
  kind = SOCK_STREAM,
  program = 'evaluate.py',
): { ours: Descriptor; peer: Python } {
  const [ours, theirs] = socketpair(undefined, kind)
  t.after(() => ours.close())
  try {
    return { ours, peer: python(t, found, { program, channel: theirs }) }
  } finally {
    theirs.close()
  }
}

/** The next message, once it is there. */
export async function received(
  socket: DescriptorLike,
  maxSize?: number,
  ancillarySize?: number,
  flags?: number,
): Promise<ReceivedMessage> {
  await readable(socket)
  const message = recvmsg(socket, maxSize, ancillarySize, flags)
  assert.ok(message !== null, 'readable, and nothing there')
  return message
}

/** Which file a descriptor leads to, as `identity` of the Python programs says it. */
export function identity({ fd }: { readonly fd: number }): string {
  const { dev, ino } = fstatSync(fd, { bigint: true })
  return `${dev}:${ino}`
}

/** IPv4 and IPv6, for tests that are the same for both; where the loopback interface lacks one, that is skipped. */
export function ipFamilies({ skip }: Interpreter) {
  const addresses = Object.values(networkInterfaces()).flatMap((all) => all ?? [])
  const without6 = addresses.every(({ address }) => address !== '::1') && 'needs IPv6 on the loopback interface'
  return [
    { version: 'IPv4', family: AF_INET, loopback: '127.0.0.1', skip },
    { version: 'IPv6', family: AF_INET6, loopback: '::1', skip: skip || without6 },
  ] as const
}

/** The port of an address that has one. */
export function portOf(address: Address | null): number {
  assert.ok(address !== null && 'port' in address)
  return address.port
}
