import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import type { SupervisorEvents } from '../../src/index.js'
import { connect, get } from './client.js'
import type { Supervised } from './supervised.js'

/** Answers with its generation and place, and what its environment says; ends at /crash; holds /hang open for ever. */
export const APP = `import { createServer } from 'node:http'
const { HANDOVER_GENERATION, HANDOVER_WORKER, WORD = '', PORT = '0' } = process.env
const server = createServer((request, response) => {
  if (request.url === '/crash') process.exit(7)
  if (request.url === '/hang') return response.write('part')
  response.end([HANDOVER_GENERATION, HANDOVER_WORKER, WORD].join(' '))
})
server.listen(Number(PORT), '127.0.0.1')
`

/** What each rule of reloads is held to. */
export const both = [
  { threads: false, kind: 'processes' },
  { threads: true, kind: 'threads' },
]

/** What the app answers over a connection of its own. */
export async function answer({ port }: { port: number }): Promise<string> {
  const { status, body } = await get({ port })
  assert.equal(status, 200)
  return body.trim()
}

/** Asks without a pause until told to stop; every request must be answered. */
export function load(app: { port: number }, lanes: number): { stop(): Promise<string[]> } {
  let on = true
  const answers: string[] = []
  const lane = async (): Promise<void> => {
    while (on) answers.push(await answer(app))
  }
  const done = Promise.all(Array.from({ length: lanes }, lane))
  done.catch(() => {})
  return {
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

/** Names of the steps of reloads, as they come. */
export function steps({ supervisor }: Supervised): string[] {
  const told: string[] = []
  for (const name of ['reloading', 'switched', 'reloaded'] as const) {
    supervisor.on(name, ({ generation }: SupervisorEvents[typeof name][0]) => told.push(`${name} ${generation}`))
  }
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
