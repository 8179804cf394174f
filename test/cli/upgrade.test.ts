/** `handover upgrade`: the process of the command is replaced, and nobody outside notices. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { ask } from '../support/asked.js'
import { handover } from '../support/command.js'
import { scratch } from '../support/paths.js'
import { isRunning } from '../support/successions.js'
import { service, status } from '../support/upgraded.js'
import { until } from '../support/wait.js'

const MODES = process.platform === 'linux' ? ['dispatch', 'share', 'reuseport'] : ['dispatch', 'share']

/** Clients that ask again and again, each by new connections and by one that it keeps. */
function load(
  t: TestContext,
  port: number,
): { end(): Promise<{ answered: number; failures: string[]; kept: number }> } {
  const failures: string[] = []
  let [answered, stopped] = [0, false]
  let kept = 0
  const one = async (agent: http.Agent, fresh: boolean): Promise<void> => {
    for (let turn = 0; !stopped; turn++) {
      try {
        const request = http.get({ host: '127.0.0.1', port, path: `/${turn}`, agent })
        request.on('socket', ({ connecting }) => {
          if (!fresh && connecting) kept += 1
        })
        const [response] = (await once(request, 'response')) as [http.IncomingMessage]
        let body = ''
        for await (const part of response) body += part
        assert.match(body, new RegExp(` /${turn}$`))
        answered += 1
      } catch (error) {
        failures.push((error as Error).message)
      }
    }
  }
  const agents = [true, false].map((fresh) => new http.Agent({ keepAlive: !fresh, maxSockets: 8 }))
  t.after(() => agents.forEach((agent) => void agent.destroy()))
  const clients = agents.flatMap((agent, index) => Array.from({ length: 4 }, () => one(agent, index === 0)))
  return {
    async end() {
      stopped = true
      await Promise.all(clients)
      return { answered, failures, kept }
    },
  }
}

for (const mode of MODES) {
  test(`three upgrades under load lose nothing, and the last process is steered as the first (${mode})`, async (t) => {
    const { run, port } = await service(t, { words: ['--distribution', mode] })
    const before = await status(t)
    const clients = load(t, port)
    const pids = [run.child.pid as number]
    for (let nth = 1; nth <= 3; nth++) {
      const { pid, previous } = (await ask(t, 'upgrade')) as { pid: number; previous: number }
      assert.equal(previous, pids.at(-1))
      pids.push(pid)
      await until('the process before has ended', () => !isRunning(previous))
    }
    const after = await status(t)
    const { answered, failures, kept } = await clients.end()
    assert.deepEqual(failures, [])
    assert.ok(answered > 0)
    assert.equal(kept, 4, 'connections that are kept are never made anew')
    assert.equal(after.pid, pids.at(-1))
    assert.deepEqual(
      after.workers.map(({ pid }) => pid),
      before.workers.map(({ pid }) => pid),
    )
    await ask(t, 'reload')
    const reloaded = await status(t)
    assert.deepEqual(
      reloaded.generations.map(({ number, state }) => [number, state]),
      [[2, 'serving']],
    )
    assert.equal(await handover(t, ['stop']).ended, 0)
    assert.ok(!isRunning(pids.at(-1) as number))
    assert.ok(!reloaded.workers.some(({ pid }) => isRunning(pid)))
  })
}

test('an upgrade that cannot be changes nothing, says why, and ends with 1', async (t) => {
  const config = join(scratch(t), 'handover.config.json')
  writeFileSync(config, '{"hungAfter":false}') // however long it stands still
  const { run, port } = await service(t, { words: ['--name', 'upgraded', '--config', config] })
  const before = await status(t)
  process.kill(before.workers[0]?.pid as number, 'SIGSTOP')
  t.after(() => {
    if (isRunning(before.workers[0]?.pid as number)) process.kill(before.workers[0]?.pid as number, 'SIGCONT')
  })
  const pending = net.connect(port, '127.0.0.1').on('error', () => {})
  t.after(() => void pending.destroy())
  const other = net.connect(port, '127.0.0.1').on('error', () => {})
  t.after(() => void other.destroy())
  await until('the stopped worker owes something', async () =>
    (await status(t)).workers.some((worker) => (worker as unknown as { unclaimed: number }).unclaimed > 0),
  )
  const upgrade = handover(t, ['upgrade'])
  assert.equal(await upgrade.ended, 1, upgrade.said())
  assert.match(upgrade.stderr(), /not at rest within 5000 ms: worker 1 \(process \d+\) does not answer/)
  process.kill(before.workers[0]?.pid as number, 'SIGCONT')
  assert.equal((await status(t)).pid, run.child.pid)
  const done = (await ask(t, 'upgrade')) as { previous: number }
  assert.equal(done.previous, run.child.pid, 'nothing of the first try is in the way of the second')
})

test('SIGTERM to the new process stops the service, and commands that come while it is replaced are answered', async (t) => {
  const { run } = await service(t, { words: ['--admin', '127.0.0.1:0'] })
  const upgrade = ask(t, 'upgrade')
  const asked = await Promise.all([status(t), status(t), status(t), upgrade.then(() => status(t))])
  const { pid } = (await upgrade) as { pid: number }
  assert.equal(asked.at(-1)?.pid, pid)
  for (const { pid: answerer } of asked) assert.ok([run.child.pid, pid].includes(answerer))
  assert.equal(await run.exited, 0)
  process.kill(pid, 'SIGTERM')
  await until('it has ended', () => !isRunning(pid))
  assert.ok(!asked[0]?.workers.some((worker) => isRunning(worker.pid)))
})
