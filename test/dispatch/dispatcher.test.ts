import assert from 'node:assert/strict'
import type net from 'node:net'
import test, { type TestContext } from 'node:test'
import { Dispatcher, type DispatcherOptions } from '../../src/dispatch/dispatcher.js'
import { ListeningPort } from '../../src/transport/listening-port.js'
import { connect } from '../support/client.js'
import { noLeak } from '../support/descriptors.js'
import { FakeTarget } from '../support/fake-target.js'
import { until } from '../support/wait.js'

interface Scene {
  dispatcher: Dispatcher
  port: ListeningPort
  targets: FakeTarget[]
  clients(count: number): Promise<net.Socket[]>
}

function scene(t: TestContext, targets: FakeTarget[], options: DispatcherOptions = {}): Scene {
  noLeak(t)
  const dispatcher = new Dispatcher(options)
  const port = ListeningPort.open({ host: '127.0.0.1', port: 0 })
  const sockets: net.Socket[] = []
  dispatcher.open(1, port)
  for (const target of targets) dispatcher.attach(target, 1)
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    dispatcher.shut(1)
    port.close()
    for (const target of targets) target.finish(target.load)
  })
  return {
    dispatcher,
    port,
    targets,
    async clients(count) {
      const { port: number } = port.address as { port: number }
      const made = await Promise.all(Array.from({ length: count }, () => connect({ port: number })))
      for (const socket of made) socket.on('error', () => {})
      sockets.push(...made)
      return made
    },
  }
}

const total = (targets: FakeTarget[]): number => targets.reduce((sum, { taken }) => sum + taken, 0)

test('least-connections gives to whoever has fewest open', async (t) => {
  const targets = [new FakeTarget('a'), new FakeTarget('b'), new FakeTarget('c')]
  const { clients, dispatcher } = scene(t, targets)
  await clients(30)
  await until('all are given', () => total(targets) === 30)
  assert.deepEqual(
    targets.map(({ load }) => load),
    [10, 10, 10],
  )
  targets[1]?.finish(10)
  dispatcher.roomier(targets[1] as FakeTarget)
  await clients(10)
  await until('all are given', () => total(targets) === 40)
  assert.deepEqual(
    targets.map(({ load }) => load),
    [10, 10, 10],
  )
})

test('least-connections takes turns among equals', async (t) => {
  const targets = [new FakeTarget('a'), new FakeTarget('b')]
  const { clients } = scene(t, targets)
  for (let i = 1; i <= 6; i++) {
    await clients(1)
    await until('it is given', () => total(targets) === i)
    for (const target of targets) target.finish(target.load)
  }
  assert.deepEqual(
    targets.map(({ taken }) => taken),
    [3, 3],
  )
})

test('round-robin goes one after the other, whatever is open, and skips whoever is full', async (t) => {
  const targets = [new FakeTarget('a', 2), new FakeTarget('b'), new FakeTarget('c')]
  const { clients } = scene(t, targets, { policy: 'round-robin' })
  await clients(12)
  await until('all are given', () => total(targets) === 12)
  assert.equal(targets[0]?.load, 2)
  assert.deepEqual([...targets.map(({ load }) => load)].sort(), [2, 5, 5])
})

test("a user's policy sees addresses and every target's status, and decides", async (t) => {
  const targets = [new FakeTarget('a'), new FakeTarget('b')]
  const seen: unknown[] = []
  const { clients, port } = scene(t, targets, {
    policy: (connection, statuses) => {
      seen.push(connection)
      assert.deepEqual(
        statuses.map(({ id }) => id),
        ['a', 'b'],
      )
      return 'b'
    },
  })
  const made = await clients(3)
  await until('all are given', () => total(targets) === 3)
  assert.deepEqual(
    targets.map(({ load }) => load),
    [0, 3],
  )
  assert.deepEqual(
    new Set(seen.map((connection) => (connection as { peer: { port: number } }).peer.port)),
    new Set(made.map(({ localPort }) => localPort)),
  )
  assert.deepEqual((seen[0] as { local: unknown }).local, port.address)
})

test("a user's policy that throws, names nobody or one that is full loses no connection", async (t) => {
  const targets = [new FakeTarget('full', 1), new FakeTarget('b')]
  const errors: unknown[] = []
  let call = 0
  const { clients } = scene(t, targets, {
    policy: () => {
      call += 1
      if (call % 3 === 0) throw new Error('mine')
      return call % 3 === 1 ? 'nobody' : 'full'
    },
    onPolicyError: (error) => errors.push(error),
  })
  await clients(9)
  await until('all are given', () => total(targets) === 9)
  assert.deepEqual(
    targets.map(({ load }) => load),
    [1, 8],
  )
  assert.equal(errors.length, 3)
})

test('full: the port is paused and clients wait in the kernel; one finish resumes it', async (t) => {
  const targets = [new FakeTarget('a', 5), new FakeTarget('b', 5)]
  const { clients, dispatcher } = scene(t, targets)
  await clients(25)
  await until('ten are given', () => total(targets) === 10)
  assert.equal(dispatcher.dispatched, 10)
  for (let given = 11; given <= 25; given++) {
    const target = targets[given % 2] as FakeTarget
    target.finish(1)
    dispatcher.roomier(target)
    await until('one more is given', () => total(targets) === given)
    assert.ok(targets.every(({ load }) => load <= 5))
  }
})

test('a port that was full is polled again only when a tenth of the capacity is free', async (t) => {
  const target = new FakeTarget('a', 40)
  const { clients, dispatcher, port } = scene(t, [target])
  let watches = 0
  const watch = port.watch.bind(port)
  port.watch = (ready) => {
    watches += 1
    watch(ready)
  }
  await clients(45)
  await until('it is full', () => target.taken === 40)
  for (let i = 0; i < 3; i++) {
    target.finish(1)
    dispatcher.roomier(target)
  }
  assert.equal(watches, 0, 'three free of forty do not suffice')
  target.finish(1)
  dispatcher.roomier(target)
  await until('the fourth does', () => target.taken === 44)
  assert.equal(watches, 1)
})

test('a limit in all holds over every target', async (t) => {
  const targets = [new FakeTarget('a'), new FakeTarget('b')]
  const { clients, dispatcher } = scene(t, targets, { limit: 7 })
  await clients(20)
  await until('seven are given', () => total(targets) === 7)
  targets[0]?.finish(2)
  dispatcher.roomier(targets[0] as FakeTarget)
  await until('two more are given', () => total(targets) === 9)
  assert.equal(
    targets.reduce((sum, { load }) => sum + load, 0),
    7,
  )
})

test('no target ready: clients wait, and are served when one comes', async (t) => {
  const { clients, dispatcher, targets } = scene(t, [])
  await clients(5)
  assert.equal(dispatcher.dispatched, 0)
  const late = new FakeTarget('late')
  targets.push(late)
  dispatcher.attach(late, 1)
  await until('all are given', () => late.taken === 5)
})

test('what a target gives back goes to another before any new connection, or waits for one', async (t) => {
  const [dead, other] = [new FakeTarget('dead'), new FakeTarget('other', 6)]
  const { clients, dispatcher } = scene(t, [dead, other], { policy: () => 'dead' })
  await clients(10)
  await until('all are given', () => dead.taken === 10)
  dispatcher.detach(dead)
  const returned = Int32Array.from(dead.held.splice(0))
  dispatcher.takeBack({ descriptors: returned, tags: new Uint32Array(returned.length).fill(1) })
  assert.deepEqual([other.load, dispatcher.waiting], [6, 4])
  await clients(3)
  other.finish(6)
  dispatcher.roomier(other)
  assert.equal(dispatcher.waiting, 0)
  await until('the new ones come after', () => other.taken >= 12)
  assert.deepEqual(other.held.slice(0, 4), [...returned.slice(6)])
})

test('what comes back for a port that is shut is closed', async (t) => {
  const target = new FakeTarget('a')
  const { clients, dispatcher } = scene(t, [target])
  const [client] = await clients(1)
  await until('it is given', () => target.taken === 1)
  const ended = new Promise((resolve) => client?.on('close', resolve).resume())
  dispatcher.shut(1)
  dispatcher.takeBack({ descriptors: Int32Array.from(target.held.splice(0)), tags: Uint32Array.of(1) })
  await ended
})

test('retire takes in all that waits in the kernel, then polls no more', async (t) => {
  const target = new FakeTarget('a', 1000)
  const { clients, dispatcher, port } = scene(t, [])
  await clients(150)
  t.after(() => target.finish(target.load))
  dispatcher.attach(target, 1)
  port.pause()
  dispatcher.retire(1)
  assert.equal(target.taken, 150)
})

test('each batch is one flush a target', async (t) => {
  const target = new FakeTarget('a')
  const { clients, dispatcher } = scene(t, [])
  t.after(() => target.finish(target.load))
  await clients(50)
  dispatcher.attach(target, 1)
  await until('all are given', () => target.taken === 50)
  assert.equal(target.flushes, 1)
})

test('an unknown policy or limit is refused', () => {
  // @ts-expect-error no such policy
  assert.throws(() => new Dispatcher({ policy: 'random' }), TypeError)
  assert.throws(() => new Dispatcher({ limit: 0 }), RangeError)
})

test('with a limit in all, room that one port frees is given to another', async (t) => {
  const [a, b] = [new FakeTarget('a'), new FakeTarget('b')]
  const { clients, dispatcher } = scene(t, [a], { limit: 4 })
  const other = ListeningPort.open({ host: '127.0.0.1', port: 0 })
  t.after(() => {
    dispatcher.shut(2)
    other.close()
    b.finish(b.load)
  })
  dispatcher.open(2, other)
  dispatcher.attach(b, 2)
  await clients(4)
  await until('the limit is reached', () => a.load === 4)
  const client = await connect({ port: (other.address as { port: number }).port })
  t.after(() => client.destroy())
  await until('the other port is paused', () => {
    dispatcher.roomier(b)
    return b.load === 0
  })
  a.finish(4)
  dispatcher.roomier(a)
  await until('the other port is served', () => b.load === 1)
})

test('when a target dies, its share of a limit in all is free for the others', async (t) => {
  const [dying, other] = [new FakeTarget('dying'), new FakeTarget('other')]
  const { clients, dispatcher } = scene(t, [dying, other], { limit: 4, policy: () => 'dying' })
  await clients(6)
  await until('the limit is reached', () => dying.load === 4)
  dispatcher.detach(dying)
  await until('the others are served', () => other.load === 2)
})

test('targets that cannot take anything do not keep a port from being polled', async (t) => {
  const idle = new FakeTarget('idle', 4)
  const stalled = Array.from({ length: 30 }, (_, i) => new FakeTarget(`stalled ${i}`, 4))
  for (const target of stalled) target.ready = false
  const { clients, dispatcher } = scene(t, [...stalled, idle])
  await clients(8)
  await until('four are given', () => idle.load === 4)
  idle.finish(4)
  dispatcher.roomier(idle)
  await until('four more are given', () => idle.taken === 8)
})

test('a policy that stops everything in the middle of a batch loses nothing', async (t) => {
  const target = new FakeTarget('a')
  const { clients, dispatcher } = scene(t, [target], {
    policy: () => {
      dispatcher.retire(1)
      return 'a'
    },
  })
  await clients(20)
  await until('all are given', () => target.taken === 20 || dispatcher.dispatched === target.taken)
  assert.equal(new Set(target.held).size, target.taken)
})

test('a policy that ends the target it names loses nothing: another gets the connection', async (t) => {
  const [ending, other] = [new FakeTarget('ending'), new FakeTarget('other')]
  const { clients, dispatcher } = scene(t, [ending, other], { policy: () => 'ending' })
  ending.take = () => {
    dispatcher.detach(ending)
    throw new Error('closed')
  }
  await clients(5)
  await until('all are given', () => other.taken === 5)
  assert.deepEqual([dispatcher.waiting, dispatcher.dispatched], [0, 5])
})
