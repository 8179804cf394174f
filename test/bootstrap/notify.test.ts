/** What a service tells its manager: each call is one datagram, in order, and nothing is said without a manager. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { notifier } from '../../src/index.js'
import { AF_UNIX, bind, SOCK_STREAM, socket, socketpair } from '../../src/sendmsg/index.js'
import { noLeak, openDescriptors } from '../support/descriptors.js'
import { fakeKernel } from '../support/fake-kernel.js'
import { notifyManager } from '../support/notify-manager.js'
import { scratch } from '../support/paths.js'
import { identity } from '../support/python.js'

function socketsOf(t: TestContext, count: number): ReturnType<typeof socketpair> {
  const made = Array.from({ length: Math.ceil(count / 2) }, () => socketpair()).flat()
  t.after(() => {
    for (const one of made) one.close()
  })
  return made.slice(0, count) as ReturnType<typeof socketpair>
}

for (const kind of ['path', 'abstract'] as const) {
  test(`${kind}: each call is one datagram of this process, there when it returns`, (t) => {
    noLeak(t)
    const manager = notifyManager(t, kind)
    const service = notifier({ NOTIFY_SOCKET: manager.address })
    assert.equal(service.supervised, true)
    const before = openDescriptors()
    for (const [call, lines] of [
      [() => service.ready(), ['READY=1']],
      [() => service.ready('Serving'), ['READY=1', 'STATUS=Serving']],
      [() => service.stopping(), ['STOPPING=1']],
      [() => service.stopping('Bye'), ['STOPPING=1', 'STATUS=Bye']],
      [() => service.status('12 clients, "=" and é'), ['STATUS=12 clients, "=" and é']],
      [() => service.status('two\r\nlines\n'), ['STATUS=two lines']],
      [() => service.watchdog(), ['WATCHDOG=1']],
      [() => service.mainPid(4711), ['MAINPID=4711']],
      [() => service.extendTimeout(1500), ['EXTEND_TIMEOUT_USEC=1500000']],
      [() => service.removeStored('state'), ['FDSTOREREMOVE=1', 'FDNAME=state']],
      [() => service.notify({ X_A: 'b c', ERRNO: 2 }), ['X_A=b c', 'ERRNO=2']],
    ] as [() => Promise<boolean>, string[]][]) {
      void call()
      assert.deepEqual(manager.take(), { lines, pid: process.pid, descriptors: [] })
    }
    assert.equal(manager.take(), null)
    assert.deepEqual(openDescriptors(), before, 'nothing stays open between calls')
  })
}

test('a call resolves true with a manager', async (t) => {
  noLeak(t)
  const manager = notifyManager(t)
  const service = notifier({ NOTIFY_SOCKET: manager.address })
  assert.deepEqual(
    [await service.ready(), await service.status('x'), await service.notify({ X: 1 })],
    [true, true, true],
  )
})

test('a reload says its time by the monotonic clock, in microseconds', async (t) => {
  noLeak(t)
  const manager = notifyManager(t)
  const before = process.hrtime.bigint() / 1000n
  await notifier({ NOTIFY_SOCKET: manager.address }).reloading('Reading')
  const [reloading, time, status] = manager.take()?.lines ?? []
  assert.deepEqual([reloading, status], ['RELOADING=1', 'STATUS=Reading'])
  const said = BigInt(/^MONOTONIC_USEC=(\d+)$/.exec(time ?? '')?.[1] ?? 0)
  assert.ok(said >= before && said <= process.hrtime.bigint() / 1000n)
})

test('without a manager every call does nothing and resolves false', async (t) => {
  noLeak(t)
  for (const environment of [{}, { NOTIFY_SOCKET: '' }, { WATCHDOG_USEC: '1000' }] as NodeJS.ProcessEnv[]) {
    const service = notifier(environment)
    const answers = [
      service.ready('x'),
      service.reloading(),
      service.stopping(),
      service.status('x'),
      service.watchdog(),
      service.mainPid(1),
      service.extendTimeout(1),
      service.notify({ X: 1 }),
      service.store('x', [0]),
      service.removeStored('x'),
      service.barrier(1),
    ]
    assert.deepEqual(new Set(await Promise.all(answers)), new Set([false]))
    assert.deepEqual([service.supervised, service.watchdogInterval], [false, 0])
    service.startWatchdog()()
  }
})

test('the environment stays as it is unless asked otherwise', (t) => {
  noLeak(t)
  const environment = { NOTIFY_SOCKET: '/x', WATCHDOG_USEC: '2000000', WATCHDOG_PID: String(process.pid), PATH: 'x' }
  assert.equal(notifier(environment).supervised, true)
  assert.equal(Object.keys(environment).length, 4)
  const service = notifier(environment, { unset: true })
  assert.deepEqual([service.supervised, service.watchdogInterval], [true, 2000])
  assert.deepEqual(environment, { PATH: 'x' })
  assert.equal(notifier(environment).supervised, false)
})

test('an address that is no UNIX socket’s, and a watchdog that is no number, are errors that say which', (t) => {
  noLeak(t)
  for (const [environment, message] of [
    [{ NOTIFY_SOCKET: 'vsock:2:1234' }, 'NOTIFY_SOCKET=vsock:2:1234 is a VSOCK address: only UNIX sockets are reached'],
    [{ NOTIFY_SOCKET: 'vsock-stream:2:1' }, /^NOTIFY_SOCKET=vsock-stream:2:1 is a VSOCK address/],
    [{ NOTIFY_SOCKET: 'run/x' }, 'NOTIFY_SOCKET=run/x is neither an absolute path nor an @abstract name'],
    [{ NOTIFY_SOCKET: '@' }, 'NOTIFY_SOCKET=@ is neither an absolute path nor an @abstract name'],
    [{ NOTIFY_SOCKET: `/${'x'.repeat(108)}` }, /has more than the 108 bytes of a socket's path$/],
    [{ NOTIFY_SOCKET: '/x', WATCHDOG_USEC: '1s' }, 'WATCHDOG_USEC=1s is no whole number from 1'],
    [{ NOTIFY_SOCKET: '/x', WATCHDOG_USEC: '0' }, 'WATCHDOG_USEC=0 is no whole number from 1'],
    [{ NOTIFY_SOCKET: '/x', WATCHDOG_USEC: '1', WATCHDOG_PID: 'me' }, 'WATCHDOG_PID=me is no whole number from 1'],
  ] as [NodeJS.ProcessEnv, string | RegExp][]) {
    assert.throws(() => notifier(environment), { code: 'ERR_HANDOVER_ACTIVATION', message })
  }
})

test('wrong arguments are refused before anything is said, manager or not', async (t) => {
  noLeak(t)
  const manager = notifyManager(t)
  for (const service of [notifier({ NOTIFY_SOCKET: manager.address }), notifier({})]) {
    for (const [call, name] of [
      [() => service.notify({}), 'RangeError'],
      [() => service.notify(null as never), 'TypeError'],
      [() => service.notify({ 'A=B': '1' }), 'TypeError'],
      [() => service.notify({ '': '1' }), 'TypeError'],
      [() => service.notify({ A: 'two\nlines' }), 'TypeError'],
      [() => service.notify({ A: 'a\0b' }), 'TypeError'],
      [() => service.notify({ A: 0.5 }), 'TypeError'],
      [() => service.notify({ A: undefined as never }), 'TypeError'],
      [() => service.notify({ A: 'x'.repeat(4095) }), 'RangeError'],
      [() => service.notify({ A: 1 }, 3 as never), 'TypeError'],
      [() => service.notify({ A: 1 }, new Array(254).fill(0)), 'RangeError'],
      [() => service.status(1 as never), 'TypeError'],
      [() => service.mainPid(0), 'RangeError'],
      [() => service.extendTimeout(0.5), 'RangeError'],
      [() => service.store('', [0]), 'RangeError'],
      [() => service.store('a:b', [0]), 'RangeError'],
      [() => service.store('a\tb', [0]), 'RangeError'],
      [() => service.store('é', [0]), 'RangeError'],
      [() => service.store('x'.repeat(256), [0]), 'RangeError'],
      [() => service.store('x', []), 'RangeError'],
      [() => service.store('x', new Array(254).fill(0)), 'RangeError'],
      [() => service.removeStored('a:b'), 'RangeError'],
      [() => service.barrier(0), 'RangeError'],
      [() => service.barrier(2 ** 31), 'RangeError'],
    ] as [() => Promise<boolean>, string][]) {
      await assert.rejects(call, { name }, call.toString())
    }
  }
  assert.equal(manager.take(), null)
})

test('errors of the system name the path', async (t) => {
  noLeak(t)
  const folder = scratch(t)
  const manager = notifyManager(t)
  const stream = socket(AF_UNIX, SOCK_STREAM)
  t.after(() => stream.close())
  bind(stream, { path: join(folder, 'stream') })
  const gone = notifyManager(t)
  gone.close()
  for (const [address, code] of [
    [join(folder, 'nobody'), 'ENOENT'],
    [join(folder, 'stream'), 'EPROTOTYPE'],
    [gone.address, 'ECONNREFUSED'],
    ['@handover nobody', 'ECONNREFUSED'],
  ] as const) {
    await assert.rejects(notifier({ NOTIFY_SOCKET: address }).ready(), { name: 'SyscallError', code, address })
  }
  const { address } = manager
  const service = notifier({ NOTIFY_SOCKET: address })
  await assert.rejects(service.store('x', [9999]), { code: 'EBADF', syscall: 'sendmsg', address })
  fakeKernel(t, { sendmsg: () => -109 })
  await assert.rejects(service.store('x', [0]), { code: 'ETOOMANYREFS', address })
})

test('stored descriptors are the same open files, in order, and stay the caller’s', async (t) => {
  noLeak(t)
  const manager = notifyManager(t)
  const service = notifier({ NOTIFY_SOCKET: manager.address })
  const most = 253
  for (const count of [1, 2, most]) {
    const kept = socketsOf(t, count)
    assert.equal(await service.store('http', kept), true)
    const { lines, descriptors } = manager.take() ?? { lines: [], descriptors: [] }
    assert.deepEqual(lines, ['FDSTORE=1', 'FDNAME=http'])
    assert.deepEqual(descriptors.map(identity), kept.map(identity))
    for (const one of descriptors) one.close()
  }
  await service.store('x'.repeat(255), [0], { poll: false })
  assert.deepEqual(manager.take()?.lines, ['FDSTORE=1', `FDNAME=${'x'.repeat(255)}`, 'FDPOLL=0'])
})
