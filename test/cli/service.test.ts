/** `handover run` as a service: its manager is told by whoever is the main process. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { ask } from '../support/asked.js'
import { handover } from '../support/command.js'
import { storingManager } from '../support/notify-manager.js'
import { program } from '../support/programs.js'
import { service } from '../support/services.js'
import { AT_ONCE } from '../support/steered.js'
import { APP } from '../support/succession-clients.js'
import { isRunning } from '../support/successions.js'
import { until } from '../support/wait.js'

test('the manager is told when the command serves, reloads, is replaced and stops, by the main process', async (t) => {
  const manager = storingManager(t)
  const { told, pids } = manager
  const env = { WATCHDOG_USEC: '400000' }
  const run = await service(t, { words: [], script: program(t, APP), manager, env })
  const first = run.child.pid as number
  const since = (index: number, pid: number, pattern: RegExp): number =>
    told.findIndex((line, at) => at >= index && pids[at] === pid && pattern.test(line))
  const tells = (what: string, index: number, pid: number, pattern: RegExp): Promise<void> =>
    until(`it is told: ${what}`, () => since(index, pid, pattern) >= 0).catch((error: Error) => {
      throw new Error(`${error.message}\n${told.map((line, at) => `${pids[at]} ${line}`).join('\n')}`)
    })
  await tells('ready', 0, first, /^READY=1 STATUS=\d of 2 workers ready, generation 1,/)
  await tells('it lives', 0, first, /^WATCHDOG=1$/)
  assert.ok(since(0, first, /^FDSTORE=1 FDNAME=handover-1/) < since(0, first, /^READY=1/), 'kept before it is served')

  let from = told.length
  await ask(t, 'reload', ...AT_ONCE)
  await tells('a reload begins', from, first, /^RELOADING=1 MONOTONIC_USEC=\d+/)
  await tells('and ends', since(from, first, /^RELOADING=1/), first, /^READY=1 STATUS=.*generation/)

  const fails = program(t, 'process.exit(1)')
  for (const how of [[], ['--rolling']]) {
    from = told.length
    assert.equal(await handover(t, ['reload', '--script', fails, ...how]).ended, 1)
    await tells('a reload begins', from, first, /^RELOADING=1/)
    await tells('and ends where it fails', since(from, first, /^RELOADING=1/), first, /^READY=1/)
  }

  from = told.length
  const { pid: second } = (await ask(t, 'upgrade')) as { pid: number }
  await tells('another is the main process', from, first, new RegExp(`^MAINPID=${second}$`))
  await until('the one before has ended', () => !isRunning(first))
  await tells('the new one lives', from, second, /^WATCHDOG=1$/)
  await ask(t, 'reload', ...AT_ONCE)
  await tells('a reload of the new one begins', from, second, /^RELOADING=1/)
  await tells('and ends', since(from, second, /^RELOADING=1/), second, /^READY=1/)

  assert.equal(await handover(t, ['stop']).ended, 0)
  await tells('the end', from, second, /^STOPPING=1$/)
  assert.deepEqual([...manager.kept.keys()], ['handover-1'], 'the next start finds its port')
})
