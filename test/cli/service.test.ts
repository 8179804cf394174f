/** `handover run` as a service: its manager is told by whoever is the main process, and keeps its ports. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { get } from '../support/client.js'
import { handover } from '../support/command.js'
import { storingManager } from '../support/notify-manager.js'
import { freePort, program } from '../support/programs.js'
import { ask, killed, service, started, statusOf } from '../support/services.js'
import { AT_ONCE } from '../support/steered.js'
import { APP } from '../support/succession-clients.js'
import { isRunning } from '../support/successions.js'
import { until } from '../support/wait.js'

const FIXED = APP.replace('listen(0,', 'listen(Number(process.env.PORT),')
const MODES = process.platform === 'linux' ? ['dispatch', 'share', 'reuseport'] : ['dispatch', 'share']

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

for (const mode of MODES) {
  test(`a command that was upgraded and is killed leaves its port to the next one: no client is refused (${mode})`, async (t) => {
    const manager = storingManager(t)
    const port = await freePort()
    const options = {
      words: ['--distribution', mode],
      script: program(t, FIXED),
      manager,
      env: { PORT: String(port) },
    }
    await service(t, options)
    const { pid } = (await ask(t, 'upgrade')) as { pid: number }
    const { workers } = await statusOf(t)
    const names = [...manager.kept.keys()]
    let on = true
    let dying = false
    let answered = 0
    let cut = 0
    const lane = async (): Promise<void> => {
      while (on) {
        const answer = await get({ port }).catch((error: Error & { code?: string }) => error)
        if ('status' in answer) answered += 1
        // What was on its way to a worker when its supervisor was killed is nobody's.
        else if (answer.code === 'ECONNRESET' && dying) cut += 1
        else throw answer
      }
    }
    const clients = Promise.all(Array.from({ length: 8 }, lane))
    clients.catch(() => {})
    const answers = (): Promise<void> => {
      const enough = answered + 50
      return Promise.race([until('clients are answered', () => answered > enough), clients.then(() => {})])
    }
    await answers()
    dying = true
    await killed(pid)
    await until('its workers have ended', () => !workers.some((worker) => isRunning(worker.pid)))
    await service(t, options)
    await answers()
    on = false
    await clients
    assert.ok(cut <= 8, `only what was on its way in that moment, not ${cut}`)
    assert.deepEqual([...manager.kept.keys()], names, 'the same sockets are kept under the same names')
  })
}

test('a start that fails leaves the port to the next one, with the clients that wait at it', async (t) => {
  const manager = storingManager(t)
  const port = await freePort()
  const options = { words: [], script: program(t, FIXED), manager, env: { PORT: String(port) } }
  const first = await service(t, options)
  const { workers } = await statusOf(t)
  await killed(first.child.pid as number)
  await until('its workers have ended', () => !workers.some((worker) => isRunning(worker.pid)))
  const waiting = get({ port })
  waiting.catch(() => {})
  const fails = started(t, { ...options, script: program(t, `throw new Error('on purpose')`) })
  assert.notEqual(await fails.ended, 0)
  await service(t, options)
  assert.equal((await waiting).status, 200)
  assert.deepEqual([...manager.kept.keys()], ['handover-1'])
})
