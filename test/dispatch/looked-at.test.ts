import assert from 'node:assert/strict'
import type net from 'node:net'
import test, { type TestContext } from 'node:test'
import { Dispatcher, type DispatcherOptions } from '../../src/dispatch/dispatcher.js'
import { type HandshakeOptions, settleHandshake } from '../../src/handshake/options.js'
import type { Inspect } from '../../src/handshake/verdict.js'
import { ListeningPort } from '../../src/transport/listening-port.js'
import { connect } from '../support/client.js'
import { noLeak } from '../support/descriptors.js'
import { fakeKernel } from '../support/fake-kernel.js'
import { FakeTarget } from '../support/fake-target.js'
import { until } from '../support/wait.js'

const EMFILE = -24

/** `group` and the end of the line; an empty one has no group. */
const byGroup: Inspect = (bytes) => {
  const end = bytes.indexOf('\n')
  if (end < 0) return { more: 0 }
  return end === 0 ? {} : { group: bytes.toString('latin1', 0, end) }
}

interface Scene {
  dispatcher: Dispatcher
  client(first?: string): Promise<net.Socket>
}

/** A port whose connections are looked at before one of the targets gets them. */
function scene(
  t: TestContext,
  targets: FakeTarget[],
  options: DispatcherOptions = {},
  handshake: Partial<HandshakeOptions> = {},
): Scene {
  noLeak(t)
  const dispatcher = new Dispatcher(options)
  const port = ListeningPort.open({ host: '127.0.0.1', port: 0 })
  const sockets: net.Socket[] = []
  dispatcher.open(1, port, settleHandshake({ inspect: byGroup, ...handshake }))
  for (const target of targets) dispatcher.attach(target, 1)
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    dispatcher.shut(1)
    port.close()
    for (const target of targets) target.finish(target.load)
  })
  return {
    dispatcher,
    async client(first) {
      const socket = await connect({ port: (port.address as { port: number }).port })
      socket.on('error', () => {})
      sockets.push(socket)
      if (first !== undefined) socket.write(first)
      return socket
    },
  }
}

test('a limit in all holds for those that were undecided, too', async (t) => {
  const targets = [new FakeTarget('a'), new FakeTarget('b')]
  const { dispatcher, client } = scene(t, targets, { limit: 2 })
  const load = (): number => targets.reduce((sum, target) => sum + target.load, 0)
  const sockets = await Promise.all(Array.from({ length: 5 }, () => client()))
  await until('all are undecided', () => dispatcher.undecided === 5)
  for (const socket of sockets) socket.write('\n')
  await until('all are decided', () => dispatcher.undecided === 0)
  assert.deepEqual([load(), dispatcher.waiting], [2, 3])
  const [one] = targets as [FakeTarget]
  one.finish(1)
  dispatcher.roomier(one)
  assert.deepEqual([load(), dispatcher.waiting], [2, 2])
})

test('what has no group waits for those of none, also while there is none', async (t) => {
  const [group, plain] = [new FakeTarget('g', 100, 'g'), new FakeTarget('p')]
  const { dispatcher, client } = scene(t, [group, plain])
  dispatcher.detach(plain)
  await client('\n')
  await client('g\n')
  await until('one is given, one waits', () => group.taken === 1 && dispatcher.waiting === 1)
  dispatcher.attach(plain, 1)
  assert.deepEqual([group.taken, plain.taken], [1, 1])
})

test('what waits for room among those of no group does not wait for ever where others have room', async (t) => {
  const setbacks: string[] = []
  const [group, plain] = [new FakeTarget('g', 100, 'g'), new FakeTarget('p', 1)]
  const { dispatcher, client } = scene(t, [group, plain], {
    onSetback: (setback, _, connections) => setbacks.push(`${setback} ${connections}`),
  })
  const now = performance.now.bind(performance)
  let ahead = 0
  t.mock.method(performance, 'now', () => now() + ahead)
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const served = await client('\n')
  await client('\n')
  while (dispatcher.waiting < 1) await new Promise((resolve) => setImmediate(resolve))
  ahead = 11_000
  t.mock.timers.tick(11_000)
  assert.deepEqual([dispatcher.waiting, plain.load], [0, 1])
  assert.deepEqual(setbacks, ['no room 1'])
  served.destroy()
})

test('without a descriptor to accept with the silent make room, and the next client waits for nothing', async (t) => {
  const target = new FakeTarget('a')
  const { dispatcher, client } = scene(t, [target])
  for (let i = 0; i < 10; i++) await client()
  await until('all are undecided', () => dispatcher.undecided === 10)
  let errors = 0
  fakeKernel(t, {
    accept: (real, ...args) => (dispatcher.undecided > 4 && ++errors ? EMFILE : real(...args)),
  })
  t.mock.timers.enable({ apis: ['setTimeout'] }) // no time passes
  await client('\n')
  const end = performance.now() + 30_000
  while (target.taken === 0 && performance.now() < end) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(target.taken, 1)
  assert.ok(errors > 0)
})

test('an inspection that stops everything loses nothing, and nothing is given twice', async (t) => {
  const target = new FakeTarget('a')
  const { dispatcher, client } = scene(
    t,
    [],
    {},
    {
      inspect: () => {
        dispatcher.retire(1)
        return {}
      },
    },
  )
  t.after(() => target.finish(target.load))
  for (let i = 0; i < 90; i++) await client('\n')
  dispatcher.attach(target, 1)
  await until('all are given', () => target.taken === 90)
  assert.equal(new Set(target.held).size, 90)
})
