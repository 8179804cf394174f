/** `handover run` as a service that is killed: its manager keeps its ports, and the next one serves them. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { ask } from '../support/asked.js'
import { get } from '../support/client.js'
import { storingManager } from '../support/notify-manager.js'
import { freePort, program } from '../support/programs.js'
import { killed, service, started, statusOf } from '../support/services.js'
import { APP } from '../support/succession-clients.js'
import { isRunning } from '../support/successions.js'
import { until } from '../support/wait.js'

const FIXED = APP.replace('listen(0,', 'listen(Number(process.env.PORT),')
const MODES = process.platform === 'linux' ? ['dispatch', 'share', 'reuseport'] : ['dispatch', 'share']

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
