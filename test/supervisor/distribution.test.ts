/** Which ways to distribute there are, what does not go together, and whose a port's sockets are. */
import assert from 'node:assert/strict'
import net from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { Supervisor, type SupervisorOptions } from '../../src/index.js'
import { DistributedPort } from '../../src/supervisor/ports/distributed-port.js'
import { type DistributionMode, modeOf, settleDistribution } from '../../src/supervisor/ports/distribution-options.js'
import { connect } from '../support/client.js'
import { noLeak, socketCount } from '../support/descriptors.js'
import { FakeTarget } from '../support/fake-target.js'
import { queued } from '../support/kernel-table.js'
import { fixture, scratch } from '../support/paths.js'
import { until } from '../support/wait.js'

const script = fixture('http-pid.mjs')
const inspect = (): { more: number } => ({ more: 1 })

/** A target that accepts by itself, as far as the port can see. */
class FakeTaker extends FakeTarget {
  takesPorts = true
  heard: string[] = []
  hasPort(): boolean {
    return false
  }
  givePort(id: number): void {
    this.heard.push(`take ${id}`)
  }
  refrain(id: number, last: boolean): void {
    this.heard.push(`refrain ${id}${last ? ' last' : ''}`)
  }
}

function port(t: TestContext, mode: DistributionMode, path?: string): DistributedPort {
  const opened = new DistributedPort(1, mode, path === undefined ? { port: 0, host: '127.0.0.1' } : { path })
  t.after(() => opened.close())
  return opened
}

const wrong: [options: Partial<SupervisorOptions>, message: RegExp][] = [
  [
    { distribution: 'spread' as 'share' },
    /^distribution: the mode is one of dispatch, share, reuseport, not the string "spread"/,
  ],
  [{ distribution: 5 as unknown as 'share' }, /^distribution: one of .*, not 5/],
  [{ distribution: ['share' as never] }, /^distribution\[0\]: an object with a mode/],
  [{ distribution: [{ mode: 'share', ports: 80 as never }] }, /^distribution\[0\]\.ports: a list/],
  [
    { distribution: [{ mode: 'share', ports: ['80'] }] },
    /^distribution\[0\]\.ports\[0\]: a port number or a path, not the string "80"/,
  ],
  [{ distribution: [{ mode: 'share', ports: [70_000] }] }, /^distribution\[0\]\.ports\[0\]: .*70000/],
  [
    { distribution: [{ mode: 'reuseport', ports: ['/run/x'] }] },
    /^distribution\[0\]\.ports\[0\]: 'reuseport' is for TCP/,
  ],
  [{ distribution: [{ mode: 'share', port: 80 } as never] }, /^port: no such option/],
  [{ distribution: 'share', policy: 'round-robin' }, /^policy: not with distribution 'share'/],
  [{ distribution: 'reuseport', policy: () => '1' }, /^policy: not with distribution 'reuseport'/],
  [{ distribution: [{ ports: [80], mode: 'share' }], maxTotal: 5 }, /^maxTotal: not with distribution 'share'/],
  [{ distribution: 'share', handshake: { inspect } }, /^handshake: not with distribution 'share'/],
  [{ distribution: [{ ports: [80], mode: 'share' }], handshake: { inspect } }, /^handshake: not with/],
  [
    { distribution: 'share', handshake: { ports: [443], inspect } },
    /^handshake\.ports \(443\): not with distribution 'share'/,
  ],
]

for (const [options, message] of wrong) {
  test(`a wrong distribution, or what does not go with it, is named: ${message.source}`, () => {
    assert.throws(() => new Supervisor({ script, ...options }), { message })
  })
}

test('what is for dispatched ports alone goes with rules that dispatch them', () => {
  const rules = [{ ports: [443], mode: 'dispatch' as const }, { mode: 'share' as const }]
  new Supervisor({ script, distribution: rules, policy: 'round-robin', handshake: { ports: [443], inspect } })
  new Supervisor({ script, distribution: 'share', maxConnections: 5 })
  new Supervisor({ script, distribution: 'dispatch', maxTotal: 5, policy: 'round-robin', handshake: { inspect } })
})

test('the first rule that fits a port is used; none: it is dispatched; a path has no queues per worker', () => {
  const others = { policy: undefined, maxTotal: undefined, handshakes: [] }
  const rules = settleDistribution(
    [
      { ports: [80, '/run/a'], mode: 'share' },
      { ports: [80, 81], mode: 'reuseport' },
    ],
    others,
  )
  const modes = [80, 81, 82, '/run/a', '/run/b'].map((place) => modeOf(rules, place))
  assert.deepEqual(modes, ['share', 'reuseport', 'dispatch', 'share', 'dispatch'])
  assert.equal(modeOf(settleDistribution('reuseport', others), '/run/a'), 'share')
})

test('of a shared port the master accepts nothing, but for targets that cannot, and at the end', async (t) => {
  noLeak(t)
  const shared = port(t, 'share')
  const [one, other] = [new FakeTaker('1'), new FakeTaker('2')]
  shared.watch(() => {})
  shared.attach(one, true)
  shared.attach(one, true)
  const { port: number } = shared.address as net.AddressInfo
  const client = await connect({ port: number })
  t.after(() => client.destroy())
  await queued(number, 1)
  assert.equal(shared.accept(10), 0)
  other.takesPorts = false
  shared.attach(other, true)
  assert.equal(shared.accept(10), 1)
  new net.Socket({ fd: shared.batch.descriptor(0) }).destroy()
  shared.detach(other)
  assert.equal(shared.accept(10), 0)
  let taken = -1
  const late = await connect({ port: number })
  t.after(() => late.destroy())
  await queued(number, 1)
  shared.acceptLast(() => {
    taken = shared.accept(10)
  })
  assert.equal(taken, 1)
  new net.Socket({ fd: shared.batch.descriptor(0) }).destroy()
  assert.deepEqual([one.heard, other.heard], [['take 1', 'refrain 1 last'], []])
})

test("a place keeps its socket through any number of successors, and a socket without a worker is the master's", async (t) => {
  noLeak(t)
  const before = socketCount()
  const many = port(t, 'reuseport')
  let woken = 0
  many.watch(() => {
    woken += 1
  })
  for (const place of ['1', '2', '1', '2']) many.admit(place)
  assert.equal(socketCount() - before, 2)
  assert.deepEqual(new Set(many.ports.map(({ address }) => JSON.stringify(address))).size, 1)
  const [first, second] = [new FakeTaker('1'), new FakeTaker('2')]
  for (const target of [first, second]) many.attach(target, true)
  const { port: number } = many.address as net.AddressInfo
  const clients = await Promise.all(Array.from({ length: 60 }, () => connect({ port: number })))
  t.after(() => clients.forEach((client) => void client.destroy()))
  assert.deepEqual([many.accept(64), woken], [0, 0])
  many.gone(second)
  await until('the master hears of its queue', () => woken > 0)
  const orphans = many.accept(64)
  for (let row = 0; row < orphans; row++) new net.Socket({ fd: many.batch.descriptor(row) }).destroy()
  assert.ok(orphans > 0 && orphans < 60, `${orphans} of 60`)
  const successor = new FakeTaker('2')
  many.attach(successor, true)
  assert.equal(many.accept(64), 0)
  many.admit('3')
  assert.equal(socketCount() - before - clients.length, 3)
  assert.deepEqual([first.heard, second.heard, successor.heard], [['take 1'], ['take 1'], ['take 1']])
})

test("the target before and its successor may both have a place for a moment; the socket is the master's when both have left", (t) => {
  noLeak(t)
  const many = port(t, 'reuseport')
  many.admit('1')
  const [before, after] = [new FakeTaker('1'), new FakeTaker('1')]
  many.attach(before, true)
  many.attach(after, true)
  many.detach(before)
  assert.equal(many.accept(1), 0)
  many.detach(after)
  assert.deepEqual(
    [before.heard, after.heard],
    [
      ['take 1', 'refrain 1'],
      ['take 1', 'refrain 1'],
    ],
  )
})

test('a path that is bound anew is given again to all that accept from it', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'p.sock')
  const shared = port(t, 'share', path)
  const taker = new FakeTaker('1')
  shared.attach(taker, true)
  const early = await connect({ path })
  t.after(() => early.destroy())
  shared.renew(() => {})
  assert.deepEqual(taker.heard, ['take 1'])
  const { unlinkSync } = await import('node:fs')
  unlinkSync(path)
  let swept = 0
  shared.renew(() => {
    swept = shared.accept(10)
  })
  new net.Socket({ fd: shared.batch.descriptor(0) }).destroy()
  assert.deepEqual([taker.heard, swept], [['take 1', 'take 1'], 1])
})
