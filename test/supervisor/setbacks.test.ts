import assert from 'node:assert/strict'
import test from 'node:test'
import { settleHandshake } from '../../src/handshake/options.js'
import type { SetbackEvent } from '../../src/index.js'
import { firstLine, type SupervisorOptions } from '../../src/index.js'
import { Setbacks } from '../../src/supervisor/setbacks.js'
import { Supervisor } from '../../src/supervisor/supervisor.js'
import { connect } from '../support/client.js'
import { noLeak } from '../support/descriptors.js'
import { fixture } from '../support/paths.js'
import { supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

const script = fixture('net-echo.mjs')

test('what is told of several setbacks is of the last of them', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const told: SetbackEvent[] = []
  const setbacks = new Setbacks((event) => told.push(event))
  for (const address of ['192.0.2.1', '192.0.2.2', '192.0.2.3']) {
    setbacks.add('refused', `of ${address}`, 1, { peer: { address } } as never)
  }
  t.mock.timers.tick(1000)
  assert.deepEqual(told, [
    { setback: 'refused', reason: 'of 192.0.2.1', peer: '192.0.2.1', connections: 1 },
    { setback: 'refused', reason: 'of 192.0.2.3', peer: '192.0.2.3', connections: 2 },
  ])
})

test('a group that is not there is named at once', async (t) => {
  noLeak(t)
  const { supervisor, port } = await supervise(
    t,
    { script, groups: { echo: {} }, handshake: { inspect: firstLine({ routes: { a: 'ekko' } }) } },
    1,
  )
  const told: SetbackEvent[] = []
  supervisor.on('setback', (event) => told.push(event))
  const client = await connect({ port })
  client.write('a\n')
  await new Promise((resolve) => client.on('close', resolve).on('error', () => {}))
  assert.deepEqual(told, [
    {
      setback: 'inspection failed',
      reason: 'there is no group "ekko"',
      peer: '127.0.0.1',
      connections: 1,
    },
  ])
  const wrong: SupervisorOptions = { script, handshake: { inspect: () => ({}), otherwise: { group: 'slow' } } }
  assert.throws(() => new Supervisor(wrong), /handshake.otherwise.group: one of no groups, not the string "slow"/)
})

test('a supervisor that stops keeps nobody waiting for workers that take nothing new', async (t) => {
  noLeak(t)
  const { supervisor, port } = await supervise(t, { script, handshake: { inspect: firstLine({ routes: { a: {} } }) } })
  const talking = await connect({ port })
  talking.write('a\n')
  await new Promise((resolve) => talking.once('data', resolve))
  const silent = await connect({ port })
  await until('it is undecided', () => supervisor.status().undecided === 1)
  const stopped = supervisor.stop()
  await new Promise((resolve) =>
    silent
      .on('close', resolve)
      .on('error', () => {})
      .resume(),
  )
  assert.equal(supervisor.status().workers[0]?.state, 'draining')
  talking.end()
  await stopped
})

test('ports are numbers or paths: what could be neither by mistake is refused', () => {
  for (const place of ['8080', '', 0, 65_536, 1.5, null]) {
    assert.throws(() => settleHandshake({ inspect: () => ({}), ports: [place as never] }), /handshake\.ports\[0\]: /)
  }
  assert.deepEqual(settleHandshake({ inspect: () => ({}), ports: [80, '/run/a.sock', '\0name'] }).ports, [
    80,
    '/run/a.sock',
    '\0name',
  ])
  assert.deepEqual(settleHandshake({ inspect: () => ({}), ports: ['a.sock'] }).ports, [`${process.cwd()}/a.sock`])
})

test('a worker of no group is told of none, whatever its supervisor was told', async (t) => {
  noLeak(t)
  const env = { ...process.env, HANDOVER_GROUP: 'mine' }
  const { port } = await supervise(t, { script: fixture('says-who.mjs'), env })
  const answer = (await (await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } })).json()) as {
    group: unknown
  }
  assert.equal(answer.group, null)
})
