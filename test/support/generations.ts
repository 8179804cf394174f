/** Programs and helpers of the tests of generations. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import type { SupervisorEvents } from '../../src/index.js'
import { connect, get } from './client.js'
import type { Supervised } from './supervised.js'

/**
 * Answers with its generation and place, and what its environment says; ends at /crash; holds /hang open for ever; at
 * /ready says whether it is: not before `READY_AFTER` questions, never if that is negative.
 */
export const APP = `import { createServer } from 'node:http'
const { HANDOVER_GENERATION, HANDOVER_WORKER, WORD = '', READY_AFTER = '0', PORT = '0' } = process.env
let asked = 0
const server = createServer({ keepAliveTimeout: 120_000 }, (request, response) => {
  if (request.url === '/crash') process.exit(7)
  if (request.url === '/hang') return response.write('part')
  if (request.url === '/ready') {
    asked += 1
    console.log('asked ' + HANDOVER_GENERATION)
    response.statusCode = Number(READY_AFTER) >= 0 && asked > Number(READY_AFTER) ? 204 : 503
    return response.end()
  }
  response.end([HANDOVER_GENERATION, HANDOVER_WORKER, WORD].join(' ').trim())
})
server.listen(Number(PORT), '127.0.0.1')
`

/** What many rules are held to. */
export const both = [
  { threads: false, kind: 'processes' },
  { threads: true, kind: 'threads' },
]

/** What the app answers over a connection of its own. */
export async function answer({ port }: { port: number }, path = '/'): Promise<string> {
  const { status, body } = await get({ port }, path)
  assert.equal(status, 200)
  return body
}

export interface Load {
  /** Settles when so many more were answered. */
  answered(count: number): Promise<void>
  stop(): Promise<string[]>
}

/** Asks without a pause until told to stop; every request must be answered. */
export function load(app: { port: number }, lanes: number): Load {
  let on = true
  const answers: string[] = []
  const waiting = new Set<() => void>()
  const lane = async (): Promise<void> => {
    while (on) {
      answers.push(await answer(app))
      for (const check of waiting) check()
    }
  }
  const done = Promise.all(Array.from({ length: lanes }, lane))
  done.catch(() => {})
  return {
    async answered(count) {
      const least = answers.length + count
      const enough = new Promise<void>((resolve) => {
        const check = (): void => {
          if (answers.length < least) return
          waiting.delete(check)
          resolve()
        }
        waiting.add(check)
      })
      await Promise.race([enough, done])
    },
    async stop() {
      on = false
      await done
      return answers
    },
  }
}

/** Generations and places of all workers there are. */
export function workers({ supervisor }: Supervised): string[] {
  return supervisor.status().workers.map(({ generation, worker }) => `${generation} ${worker}`)
}

/** Numbers and states of all generations. */
export function states({ supervisor }: Supervised): string[] {
  return supervisor.status().generations.map(({ number, state }) => `${number} ${state}`)
}

/** Names of the steps of reloads, as they come. */
export function steps({ supervisor }: Supervised): string[] {
  const told: string[] = []
  for (const name of ['reloading', 'switched', 'healthy', 'rolledBack', 'reloaded'] as const) {
    supervisor.on(name, ({ generation }: SupervisorEvents[typeof name][0]) => told.push(`${name} ${generation}`))
  }
  supervisor.on('queued', ({ what, ahead }) => told.push(`queued ${what} behind ${ahead}`))
  supervisor.on('rolled', ({ generation, worker, done, of }) =>
    told.push(`rolled ${generation} ${worker} ${done}/${of}`),
  )
  return told
}

/** A request that is under way until its client goes. */
export async function hanging(t: TestContext, port: number): Promise<() => void> {
  const socket = await connect({ port })
  t.after(() => socket.destroy())
  socket.on('error', () => {}).write('GET /hang HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(socket, 'data')
  return () => void socket.destroy()
}

/** The most workers there were at a time, from now on. */
export function mostWorkers({ supervisor }: Supervised): () => number {
  let most = 0
  supervisor.on('started', () => {
    most = Math.max(most, supervisor.status().workers.length)
  })
  return () => most
}
