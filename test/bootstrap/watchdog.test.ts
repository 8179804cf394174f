/** Signs of life: for the process that owes them, in time, and no more once they are stopped. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { notifier } from '../../src/index.js'
import { noLeak } from '../support/descriptors.js'
import { notifyManager } from '../support/notify-manager.js'
import { until } from '../support/wait.js'

test('the watchdog is for the process it names, or for whoever is told', (t) => {
  noLeak(t)
  const NOTIFY_SOCKET = '/nobody'
  for (const [environment, interval] of [
    [{}, 0],
    [{ WATCHDOG_USEC: '3000000' }, 3000],
    [{ WATCHDOG_USEC: '1500', WATCHDOG_PID: String(process.pid) }, 1.5],
    [{ WATCHDOG_USEC: '3000000', WATCHDOG_PID: String(process.ppid) }, 0],
  ] as const) {
    assert.equal(notifier({ NOTIFY_SOCKET, ...environment }).watchdogInterval, interval)
  }
})

test('signs of life come at once and at half the interval, until they are stopped', async (t) => {
  noLeak(t)
  const manager = notifyManager(t)
  const service = notifier({ NOTIFY_SOCKET: manager.address, WATCHDOG_USEC: '200000' })
  const stop = service.startWatchdog()
  const held = setInterval(() => {}, 1000) // the watchdog itself keeps no process alive
  t.after(() => clearInterval(held))
  assert.deepEqual(manager.take()?.lines, ['WATCHDOG=1'])
  const start = performance.now()
  for (let i = 0; i < 3; i++) assert.deepEqual((await manager.next()).lines, ['WATCHDOG=1'])
  const elapsed = performance.now() - start
  assert.ok(elapsed >= 250, `three in ${elapsed} ms`)
  stop()
  await new Promise((resolve) => setTimeout(resolve, 250))
  assert.equal(manager.take(), null)
})

test('a sign of life that fails is a warning, and the next is tried', async (t) => {
  noLeak(t)
  const warnings: (Error & { code?: string })[] = []
  const listener = (warning: Error): void => void warnings.push(warning)
  process.on('warning', listener)
  t.after(() => void process.off('warning', listener))
  const stop = notifier({ NOTIFY_SOCKET: '/nobody', WATCHDOG_USEC: '10000' }).startWatchdog()
  t.after(stop)
  await until('two warnings', () => warnings.length >= 2)
  assert.equal(warnings[0]?.code, 'HANDOVER_WATCHDOG')
  assert.match(String(warnings[0]?.message), /^no sign of life to the service manager: ENOENT: .*\/nobody$/)
})
