/** What others see of a supervisor that was replaced by `handover upgrade`: the admin address, the control socket. */
import assert from 'node:assert/strict'
import { chmodSync, existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { askAt, TOKEN } from '../support/admin.js'
import { ask } from '../support/asked.js'
import { controlFolder, handover } from '../support/command.js'
import { scratch } from '../support/paths.js'
import { freePort } from '../support/programs.js'
import { isRunning } from '../support/successions.js'
import { type Status, service, status } from '../support/upgraded.js'
import { until } from '../support/wait.js'

test('after an upgrade the admin address tells the generation that serves', async (t) => {
  const at = await freePort()
  const env = { ...process.env, HANDOVER_ADMIN_TOKEN: TOKEN }
  await service(t, { words: ['--admin', `${at}`], env })
  await ask(t, 'reload', '--health-window', '0')
  const told = async (): Promise<unknown[]> => {
    const { text } = await askAt(at, '/status', { token: TOKEN })
    const metrics = await askAt(at, '/metrics')
    const { pid, generation } = JSON.parse(text) as { pid: number; generation: number }
    return [pid, generation, /^handover_generation (\d+)$/m.exec(metrics.text)?.[1]]
  }
  const [first, ...before] = await told()
  assert.deepEqual(before, [2, '2'])
  const { pid, previous } = (await ask(t, 'upgrade')) as { pid: number; previous: number }
  assert.equal(previous, first)
  await until('the new process has the address', () =>
    told().then(
      ([now]) => now === pid,
      () => false,
    ),
  )
  assert.deepEqual(await told(), [pid, 2, '2'])
  assert.equal(await handover(t, ['stop']).ended, 0)
})

test('the token of the environment is there for a configuration that has an admin address after an upgrade', async (t) => {
  const config = join(scratch(t), 'handover.config.json')
  writeFileSync(config, '{}')
  const at = await freePort()
  await service(t, { words: ['--config', config], env: { ...process.env, HANDOVER_ADMIN_TOKEN: TOKEN } })
  await ask(t, 'upgrade')
  writeFileSync(config, JSON.stringify({ admin: at }))
  await ask(t, 'upgrade')
  const answered = async (): Promise<number> => (await askAt(at, '/status', { token: TOKEN })).status
  await until('the address is there', () => answered().then(Boolean, () => false))
  assert.equal(await answered(), 200)
  assert.equal(await handover(t, ['stop']).ended, 0)
})

test('a new process whose folder of control sockets others may write to goes on with the socket that there is', async (t) => {
  await service(t, { words: ['--name', 'shop'] })
  const [folder, path] = [controlFolder(t), join(controlFolder(t), 'shop.sock')]
  chmodSync(folder, 0o777)
  const { pid } = (await ask(t, 'upgrade', '--control', path)) as { pid: number }
  assert.equal(((await ask(t, 'status', '--control', path)) as unknown as Status).pid, pid)
  chmodSync(folder, 0o700)
  assert.equal((await status(t)).pid, pid)
  assert.equal(await handover(t, ['stop']).ended, 0)
  assert.ok(!existsSync(path))
})

test('a new process that has no control socket leaves none behind that nobody answers at', async (t) => {
  const folder = scratch(t)
  const config = join(folder, 'handover.config.json')
  writeFileSync(config, '{}')
  const { run } = await service(t, { words: ['--name', 'shop', '--config', config] })
  writeFileSync(config, JSON.stringify({ control: join(folder, 'none/shop.sock') }))
  const { pid } = (await ask(t, 'upgrade')) as { pid: number }
  await run.line(/no other command reaches this supervisor: .*no such folder/)
  await until('the process before has ended', () => !isRunning(run.child.pid as number))
  assert.equal(await handover(t, ['status', '--name', 'shop']).ended, 3, 'there is nobody: it is told at once')
  assert.ok(!existsSync(join(controlFolder(t), 'shop.sock')))
  process.kill(pid, 'SIGTERM')
  await until('it has ended', () => !isRunning(pid))
})
