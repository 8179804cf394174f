/** Load that must not fail: clients that ask again and again. */
import type { TestContext } from 'node:test'
import { get } from './client.js'
import { keepAlive } from './keep-alive.js'

export interface Load {
  /** Ends it, once each client has its last answer; all bodies. Rejects with the first failure. */
  stop(): Promise<string[]>
}

async function inLanes(count: number, client: () => Promise<() => Promise<string>>): Promise<Load> {
  let on = true
  const answers: string[] = []
  const clients = await Promise.all(Array.from({ length: count }, client))
  const done = Promise.all(
    clients.map(async (ask) => {
      while (on) answers.push(await ask())
    }),
  )
  done.catch(() => {})
  return {
    async stop() {
      on = false
      await done
      return answers
    },
  }
}

/** Each request on a connection of its own. */
export function asking(port: number, lanes: number, path = '/'): Promise<Load> {
  return inLanes(lanes, async () => async () => {
    const { status, body } = await get({ port }, path)
    if (status !== 200) throw new Error(`status ${status}`)
    return body
  })
}

/** Each client keeps its one connection, whose end is a failure. */
export function keeping(t: TestContext, port: number, lanes: number, path = '/'): Promise<Load> {
  return inLanes(lanes, async () => {
    const client = await keepAlive(t, port)
    return () => client.ask(path)
  })
}
