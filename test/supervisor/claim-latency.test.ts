/** How long workers take to claim what they are given is told, of late, where they are given anything. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { ClaimClock } from '../../src/supervisor/workers/claim-latency.js'
import { get, inParallel } from '../support/client.js'
import { noLeak } from '../support/descriptors.js'
import { allAccept } from '../support/distributed.js'
import { fixture } from '../support/paths.js'
import { allClosed } from '../support/programs.js'
import { supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

const script = fixture('http-pid.mjs')

test('it is measured where connections are handed over, and what is awaited counts for the longest', async (t) => {
  noLeak(t)
  const { supervisor, port, pids } = await supervise(t, { script, heartbeat: false })
  const latency = () => supervisor.status().workers[0]?.claimLatency ?? null
  assert.equal(latency(), null, 'nothing was given yet')
  await inParallel(40, 8, async () => void (await get({ port })))
  const { last, mean, max } = latency() ?? assert.fail('it is not told')
  assert.ok(0 < last && last <= max && 0 < mean && mean <= max, `${last} ${mean} ${max}`)

  const [pid] = pids() as [number]
  process.kill(pid, 'SIGSTOP')
  const answer = get({ port })
  await until('the longest grows while the claim is awaited', () => (latency()?.max ?? 0) > max + 100)
  process.kill(pid, 'SIGCONT')
  await answer
  await until('it is the last one', () => (latency()?.last ?? 0) > max + 100)
  const after = latency()
  assert.ok(after !== null && after.mean > mean && after.max >= after.last)
})

for (const distribution of ['share', 'reuseport'] as const) {
  test(`it is not known of workers that accept by themselves (${distribution})`, async (t) => {
    noLeak(t)
    const app = await supervise(t, { script, workers: 2, distribution })
    await allAccept(app)
    const before = app.supervisor.status().dispatched
    await inParallel(20, 4, async () => void (await get({ port: app.port })))
    await allClosed(app.supervisor)
    assert.equal(app.supervisor.status().dispatched, before)
    assert.deepEqual(
      app.supervisor.status().workers.map(({ claimLatency }) => claimLatency),
      [null, null],
    )
  })
}

test('one batch is measured at a time, what came back is not, and what is old is forgotten', () => {
  const clock = new ClaimClock()
  clock.sent(2)
  clock.sent(5)
  clock.claimed(1, performance.now())
  assert.equal(clock.status(), null, 'not all of it is claimed')
  const now = performance.now() + 10
  clock.claimed(2, now)
  assert.ok((clock.status(now)?.last ?? 0) >= 10)
  assert.deepEqual(clock.status(now + 59_000), clock.status(now))
  assert.equal(clock.status(now + 60_000), null)

  clock.sent(6)
  clock.forget()
  clock.claimed(6, now + 70_000)
  assert.equal(clock.status(now + 70_000), null)
})
