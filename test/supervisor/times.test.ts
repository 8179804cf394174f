/** A time that no timer can wait is refused, and the bound named: Node would take it for one millisecond. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import test from 'node:test'
import { type ReloadOptions, Supervisor, type SupervisorOptions } from '../../src/index.js'
import { connect, get } from '../support/client.js'
import { noLeak } from '../support/descriptors.js'
import { fixture } from '../support/paths.js'
import { supervise } from '../support/supervised.js'

const MOST = 2 ** 31 - 1
const script = fixture('http-pid.mjs')

const refusal = (name: string): object => ({
  name: 'RangeError',
  message: new RegExp(`^${name.replaceAll('.', '\\.')}: a whole number from \\d+ to ${MOST}, not ${MOST + 1}$`),
})

const OPTIONS: readonly [name: string, of: (time: number) => object][] = [
  ['drainTimeout', (drainTimeout) => ({ drainTimeout })],
  ['healthWindow', (healthWindow) => ({ healthWindow })],
  ['readiness.interval', (interval) => ({ readiness: { interval } })],
  ['readiness.timeout', (timeout) => ({ readiness: { timeout } })],
  ['hungAfter', (hungAfter) => ({ hungAfter })],
  ['maxLag', (maxLag) => ({ maxLag })],
  ['crashLoop.within', (within) => ({ crashLoop: { within } })],
  ['handshake.time', (time) => ({ handshake: { inspect: () => null, time } })],
]

const RELOAD: typeof OPTIONS = [
  ['milliseconds', (milliseconds) => ({ milliseconds })],
  ...OPTIONS.filter(([name]) => /^(drain|health|readiness)/.test(name)),
]

for (const [name, of] of OPTIONS) {
  test(`new Supervisor: ${name}`, () => {
    assert.throws(() => new Supervisor({ script, ...of(MOST + 1) } as SupervisorOptions), refusal(name))
    new Supervisor({ script, ...of(MOST) } as SupervisorOptions)
  })
}

test('what is asked of one that runs is refused as well, and nothing comes of it', async (t) => {
  noLeak(t)
  const { supervisor, port, pids } = await supervise(t, { script })
  const before = pids()
  for (const [name, of] of RELOAD) {
    await assert.rejects(supervisor.reload(of(MOST + 1) as ReloadOptions), refusal(name))
  }
  await assert.rejects(supervisor.stop(MOST + 1), refusal('milliseconds'))
  await assert.rejects(supervisor.stop('soon' as unknown as number), { name: 'TypeError' })
  assert.equal((await get({ port })).status, 200)
  assert.deepEqual(pids(), before)
})

test('the longest time that there is does not end a worker before it is over', async (t) => {
  noLeak(t)
  const warnings: string[] = []
  const hear = ({ name }: Error): unknown => warnings.push(name)
  process.on('warning', hear)
  t.after(() => process.off('warning', hear))
  const { supervisor, port } = await supervise(t, { script: fixture('net-echo.mjs') })
  const socket = await connect({ port })
  const stopped = supervisor.stop(MOST)
  for (let i = 0; i < 50; i++) {
    const answer = once(socket, 'data')
    socket.write('still there')
    await answer
  }
  socket.end()
  await stopped
  assert.deepEqual(warnings, [])
})
