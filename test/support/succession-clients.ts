/** What asks a master that is replaced. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import type { TestContext } from 'node:test'
import { get } from './client.js'
import { type KeepAlive, keepAlive } from './keep-alive.js'
import type { Succession } from './successions.js'
import { until } from './wait.js'

/** Answers with its pid; /lines writes to its standard output; /crash ends it. */
export const APP = `import { createServer } from 'node:http'
createServer({ keepAliveTimeout: 120_000 }, (request, response) => {
  if (request.url === '/crash') process.exit(7)
  if (request.url === '/half') process.stdout.write('half ')
  if (request.url === '/rest') process.stdout.write('and rest\\n')
  const body = String(process.pid)
  response.writeHead(200, { 'Content-Length': body.length })
  response.end(body)
}).listen(0, '127.0.0.1')
`

/** Clients that ask again and again, over connections they keep and over new ones. */
export async function crowd(
  t: TestContext,
  port: number,
  count: number,
): Promise<{ answered(): number; stop(): Promise<void> }> {
  let on = true
  let answered = 0
  const kept: KeepAlive[] = await Promise.all(Array.from({ length: count / 2 }, () => keepAlive(t, port)))
  const keeping = async (client: KeepAlive): Promise<void> => {
    while (on) {
      await client.ask()
      answered += 1
    }
  }
  const coming = async (): Promise<void> => {
    while (on) {
      assert.equal((await get({ port })).status, 200)
      answered += 1
    }
  }
  const done = Promise.all([...kept.map(keeping), ...Array.from({ length: count / 2 }, coming)])
  done.catch(() => {})
  return {
    answered: () => answered,
    async stop() {
      on = false
      await done
      assert.ok(kept.every(({ ended }) => !ended))
    },
  }
}

/** Whom a new connection finds. */
export async function pidAt(app: Succession, path = '/'): Promise<number> {
  return Number((await get({ port: app.port }, path)).body)
}

/** The child of a process that is stopped. */
export async function stoppedChild(parent: number): Promise<number> {
  let found = 0
  await until('its child is stopped', () => {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
        const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
        if (fields[0] === 'T' && Number(fields[1]) === parent) found = Number(pid)
      } catch {}
    }
    return found > 0
  })
  return found
}
