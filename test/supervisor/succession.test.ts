/** A supervisor is replaced by another process, and nobody outside notices. */
import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { get } from '../support/client.js'
import { isAlive } from '../support/command.js'
import { openDescriptors } from '../support/descriptors.js'
import { type KeepAlive, keepAlive } from '../support/keep-alive.js'
import { program } from '../support/programs.js'
import { succession } from '../support/successions.js'
import { until } from '../support/wait.js'

/** Answers with its pid; /lines writes to its standard output; /crash ends it. */
const APP = `import { createServer } from 'node:http'
createServer((request, response) => {
  if (request.url === '/crash') process.exit(7)
  if (request.url === '/half') process.stdout.write('half ')
  if (request.url === '/rest') process.stdout.write('and rest\\n')
  const body = String(process.pid)
  response.writeHead(200, { 'Content-Length': body.length })
  response.end(body)
}).listen(0, '127.0.0.1')
`

/** Clients that ask again and again, over connections they keep and over new ones. */
async function crowd(
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

test('200 clients see nothing of five replacements: every request is answered, connections stay, workers are the same', async (t) => {
  const app = await succession(t, program(t, APP))
  const clients = await crowd(t, app.port, 200)
  const masters = new Set([app.master()])
  for (let i = 0; i < 5; i++) {
    const before = clients.answered()
    masters.add(await app.replace())
    await until('clients are answered', () => clients.answered() > before + 200)
  }
  await clients.stop()
  assert.equal(masters.size, 6)
  const { workers } = await app.status()
  assert.deepEqual(
    workers.map(({ pid }) => pid),
    app.pids,
  )
  await until('those before are gone', () => [...masters].filter(isAlive).length === 1)
  assert.deepEqual(
    app.said.filter(({ what }) => what === 'ended' || what === 'broken'),
    [],
  )
})
