/** What commands hear while the supervisor is replaced, or is not. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import http from 'node:http'
import { join } from 'node:path'
import test from 'node:test'
import { ask } from '../support/asked.js'
import { handover } from '../support/command.js'
import { scratch } from '../support/paths.js'
import { service, status } from '../support/upgraded.js'
import { until } from '../support/wait.js'

test('a reload whose old workers still finish is done when another process has them, and says which', async (t) => {
  const { port } = await service(t)
  const long = http.request({ host: '127.0.0.1', port, method: 'POST', path: '/long' }).on('error', () => {})
  t.after(() => void long.destroy())
  long.write('part')
  await until('a worker has it', async () => (await status(t)).workers.some(({ total }) => total > 0))
  const reload = handover(t, ['reload', '--health-window', '0'])
  await reload.line(/generation 2 has every new connection/)
  const { pid } = (await ask(t, 'upgrade')) as { pid: number }
  assert.equal(await reload.ended, 0, reload.said())
  assert.match(
    reload.stdout(),
    new RegExp(`^generation 2 serves; old workers finish under process ${pid}, which has`, 'm'),
  )
  const states = (await status(t)).generations.map(({ number, state }) => [number, state])
  assert.deepEqual(states, [
    [1, 'draining'],
    [2, 'serving'],
  ])
  long.end()
  await until('the old workers are gone', async () => (await status(t)).generations.length === 1)
  assert.equal(await handover(t, ['stop']).ended, 0)
})

test('a new process that fails by itself is quoted to whoever asked, and the old one goes on', async (t) => {
  const config = join(scratch(t), 'handover.config.json')
  writeFileSync(config, '{}')
  const { run } = await service(t, { words: ['--config', config] })
  writeFileSync(config, JSON.stringify({ nonsense: 1 }))
  const upgrade = handover(t, ['upgrade'])
  assert.equal(await upgrade.ended, 1, upgrade.said())
  assert.match(upgrade.stderr(), /it ended with code 100/)
  assert.match(upgrade.stderr(), /^ {2}handover handover\.config\.json: nonsense: no such key/m)
  assert.match(run.stderr(), /^handover handover\.config\.json: nonsense: no such key/m, 'the log has it as well')
  writeFileSync(config, '{}')
  assert.equal(((await ask(t, 'upgrade')) as { previous: number }).previous, run.child.pid)
  assert.equal(await handover(t, ['stop']).ended, 0)
})
