/** Workers whose connections go from one to another, as their clients say: test/fixtures/passes-on.mjs. */
import type net from 'node:net'
import type { TestContext } from 'node:test'
import { connect } from './client.js'
import { fixture } from './paths.js'
import { type Supervised, supervise } from './supervised.js'
import { until } from './wait.js'

/** A client that says lines, and what it was answered. */
export interface Talk {
  readonly socket: net.Socket
  readonly lines: string[]
  readonly ended: () => boolean
  say(line: string | object): void
  /** Waits for so many lines in all; gives the last. */
  hears(count: number): Promise<string>
}

/** Connects; the connection is destroyed with the test. */
export async function talk(t: TestContext, port: number): Promise<Talk> {
  const socket = await connect({ port })
  t.after(() => socket.destroy())
  let text = ''
  let ended = false
  const lines: string[] = []
  socket.setEncoding('latin1').on('data', (piece: string) => {
    text += piece
    if (!piece.includes('\n')) return // a long line comes in many pieces
    const whole = text.split('\n')
    text = whole.pop() as string
    lines.push(...whole)
  })
  for (const event of ['end', 'close', 'error']) {
    socket.on(event, () => {
      ended = true
    })
  }
  return {
    socket,
    lines,
    ended: () => ended,
    say: (line) => void socket.write(`${typeof line === 'string' ? line : JSON.stringify(line)}\n`),
    hears: async (count) => {
      await until(`${count} lines`, () => lines.length >= count || ended).catch((error: Error) => {
        throw new Error(`${error.message}: ${JSON.stringify(lines)}`)
      })
      return lines[count - 1] ?? 'nothing'
    },
  }
}

/** Who gave an answer. */
export const workerOf = (line: string): number => Number(line.split(':')[0])

/** Two workers or more whose clients say where they are to go. */
export function passing(t: TestContext, more: object = {}): Promise<Supervised> {
  return supervise(t, { script: fixture('passes-on.mjs'), workers: 2, ...more })
}
