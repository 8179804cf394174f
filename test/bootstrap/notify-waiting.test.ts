/** What waits for the manager: barriers, and what its full queue does not take yet. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { type Notifier, notifier } from '../../src/index.js'
import { close, dup, socketpair } from '../../src/sendmsg/index.js'
import { noLeak } from '../support/descriptors.js'
import { notifyManager } from '../support/notify-manager.js'
import { identity } from '../support/python.js'

/** Notifies until the manager's queue is full. @returns how many it took, and the one that waits */
async function fill(service: Notifier): Promise<{ taken: number; waiting: Promise<boolean> }> {
  for (let taken = 0; ; taken++) {
    let sent = false
    const waiting = service.notify({ X_FILL: taken }).then((answer) => {
      sent = true
      return answer
    })
    await new Promise((resolve) => setImmediate(resolve))
    if (!sent) return { taken, waiting }
    assert.ok(taken < 100_000)
  }
}

test('a barrier is alone in its datagram, and resolves when the manager closes its descriptor', async (t) => {
  noLeak(t)
  const manager = notifyManager(t)
  const service = notifier({ NOTIFY_SOCKET: manager.address })
  let done = false
  const barrier = service.barrier(10_000).then((answer) => {
    done = true
    return answer
  })
  const { lines, descriptors } = await manager.next()
  assert.deepEqual([lines, descriptors.length], [['BARRIER=1'], 1])
  await service.status('not held up')
  assert.deepEqual(manager.take()?.lines, ['STATUS=not held up'])
  assert.equal(done, false)
  descriptors[0]?.close()
  assert.equal(await barrier, true)
})

test('a barrier that the manager does not take ends by its time, or by a signal', async (t) => {
  noLeak(t)
  const manager = notifyManager(t)
  const service = notifier({ NOTIFY_SOCKET: manager.address })
  await assert.rejects(service.barrier(20), { code: 'ERR_HANDOVER_TIMED_OUT', message: /within 20 ms$/ })
  const stop = new AbortController()
  const barrier = service.barrier(10_000, { signal: stop.signal })
  stop.abort(new Error('enough'))
  await assert.rejects(barrier, { message: 'enough' })
  await assert.rejects(service.barrier(10_000, { signal: stop.signal }), { message: 'enough' })
  manager.close()
  await assert.rejects(service.barrier(10_000), { code: 'ECONNREFUSED' })
})

test('what a full manager does not take waits, in order, and is there once it reads', async (t) => {
  noLeak(t)
  const manager = notifyManager(t)
  const service = notifier({ NOTIFY_SOCKET: manager.address })
  const { taken, waiting } = await fill(service)
  const [kept, far] = socketpair()
  t.after(() => far.close())
  const its = identity(kept)
  const calls = [waiting, service.status('behind it'), service.store('late', [kept]), service.barrier(10_000)]
  // The number is another file's before the datagram goes.
  const number = kept.release()
  close(number)
  const other = dup(far)
  t.after(() => other.close())
  for (let i = 0; i <= taken; i++) assert.deepEqual((await manager.next()).lines, [`X_FILL=${i}`])
  assert.deepEqual((await manager.next()).lines, ['STATUS=behind it'])
  const stored = await manager.next()
  assert.deepEqual([stored.lines, stored.descriptors.map(identity)], [['FDSTORE=1', 'FDNAME=late'], [its]])
  const barrier = await manager.next()
  assert.deepEqual(barrier.lines, ['BARRIER=1'])
  barrier.descriptors[0]?.close()
  assert.deepEqual(await Promise.all(calls), [true, true, true, true])
  void service.ready()
  assert.deepEqual(manager.take()?.lines, ['READY=1'], 'and then it goes at once again')
})

test('a barrier behind a full queue ends in time and is not sent later', async (t) => {
  noLeak(t)
  const manager = notifyManager(t)
  const service = notifier({ NOTIFY_SOCKET: manager.address })
  const { taken, waiting } = await fill(service)
  await assert.rejects(service.barrier(20), { code: 'ERR_HANDOVER_TIMED_OUT' })
  const behind = service.status('behind it')
  for (let i = 0; i <= taken; i++) assert.deepEqual((await manager.next()).lines, [`X_FILL=${i}`])
  assert.deepEqual((await manager.next()).lines, ['STATUS=behind it'])
  assert.deepEqual(await Promise.all([waiting, behind]), [true, true])
  assert.equal(manager.take(), null)
})

test('a manager that goes away refuses what waits, and what comes after is tried anew', async (t) => {
  noLeak(t)
  const manager = notifyManager(t)
  const { address } = manager
  const service = notifier({ NOTIFY_SOCKET: address })
  const { waiting } = await fill(service)
  const behind = service.ready()
  const refused = [assert.rejects(waiting, { code: 'ECONNREFUSED', address }), assert.rejects(behind, { address })]
  manager.close()
  await Promise.all(refused)
  await assert.rejects(service.ready(), { code: 'ECONNREFUSED', address })
})

test('no more than 256 wait, and each of those is sent once', async (t) => {
  noLeak(t)
  const manager = notifyManager(t)
  const service = notifier({ NOTIFY_SOCKET: manager.address })
  const { taken, waiting } = await fill(service)
  const others = Array.from({ length: 255 }, (_, i) => service.notify({ X_FILL: taken + 1 + i }))
  await assert.rejects(service.ready(), { code: 'ERR_HANDOVER_OUTBOX_FULL' })
  await assert.rejects(service.barrier(10_000), { code: 'ERR_HANDOVER_OUTBOX_FULL' })
  for (let i = 0; i <= taken + 255; i++) assert.deepEqual((await manager.next()).lines, [`X_FILL=${i}`])
  assert.equal((await Promise.all([waiting, ...others])).length, 256)
  assert.equal(await service.ready(), true)
  assert.deepEqual(manager.take()?.lines, ['READY=1'])
})
