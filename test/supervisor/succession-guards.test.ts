/** A supervisor that is replaced: what fails after the word that it is the other's changes nothing any more. */
import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import type { Channel } from '../../src/channel/channel.js'
import { Supervisor, type SupervisorOptions } from '../../src/index.js'
import type { Description } from '../../src/supervisor/succession/description.js'
import { noLeak } from '../support/descriptors.js'
import { APP, answer, workers } from '../support/generations.js'
import { program } from '../support/programs.js'
import { supervise } from '../support/supervised.js'
import { channelPair } from '../support/things.js'
import { uncaught } from '../support/uncaught.js'
import { until } from '../support/wait.js'

/** Replaces a supervisor within this process; the other one ends with the test. */
async function replaced(t: TestContext, supervisor: Supervisor, options: SupervisorOptions): Promise<Supervisor> {
  const [ours, theirs] = await channelPair(t)
  const [heir] = await Promise.all([Supervisor.takeOver(theirs, options), supervisor.handOverTo(ours)])
  t.after(() => heir.kill())
  return heir
}

/** Tells the other side another description. */
function telling(channel: Channel, change: (description: Description) => object): Channel {
  const send = channel.send.bind(channel)
  channel.send = (message, ...rest) => {
    const { type } = message as { type: string }
    return send(type === 'succession' ? change(message as Description) : message, ...rest)
  }
  return channel
}

test('what a listener throws when another process has it all surfaces, and the replacement stands', async (t) => {
  noLeak(t)
  const thrown = uncaught(t)
  const options = { script: program(t, APP) }
  const app = await supervise(t, options)
  app.supervisor.on('succeeded', () => {
    throw new Error('on purpose')
  })
  const heir = await replaced(t, app.supervisor, options)
  await until('it surfaces', () => thrown.length === 1)
  assert.equal(await answer(app), '1 1')
  assert.equal(heir.status().workers[0]?.pid, app.events.find(({ name }) => name === 'started')?.pid)
})

for (const [what, change] of [
  ['a waiting connection did not come', { waiting: [{ port: 1, descriptor: 999, route: null, proxied: null }] }],
  ['two things are one', { along: [['one', 0] as const] }],
] as const) {
  test(`a successor finds out before it is too late: ${what}`, async (t) => {
    noLeak(t)
    const options = { script: program(t, APP) }
    const app = await supervise(t, options)
    const [ours, theirs] = await channelPair(t)
    const told = telling(ours, (description) => ({ ...description, ...change }))
    const refused = assert.rejects(app.supervisor.handOverTo(told), { code: 'ERR_HANDOVER_NOT_REPLACED' })
    await assert.rejects(
      Supervisor.takeOver(theirs, options),
      /not taken over: .*descriptor \d+ did not come, or is used/,
    )
    await refused
    assert.equal(await answer(app), '1 1')
  })
}

test('a successor that is scaled has as many workers after a reload', async (t) => {
  noLeak(t)
  const options = { script: program(t, APP), workers: 1 }
  const app = await supervise(t, options)
  const heir = await replaced(t, app.supervisor, options)
  await heir.scale(3)
  await heir.reload()
  assert.deepEqual(workers({ ...app, supervisor: heir }), ['2 1', '2 2', '2 3'])
})
