import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import test from 'node:test'
import type { ReloadOptions } from '../../src/index.js'
import { get } from '../support/client.js'
import { isAlive } from '../support/command.js'
import { noLeak } from '../support/descriptors.js'
import { APP, answer, both, hanging, load, steps, workers } from '../support/generations.js'
import { fixture, scratch } from '../support/paths.js'
import { freePort, program } from '../support/programs.js'
import { supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

for (const { threads, kind } of both) {
  test(`no request fails and nothing is left over through ten reloads under load (${kind})`, async (t) => {
    noLeak(t)
    const app = await supervise(t, { script: program(t, APP), workers: 2, threads })
    const pids = new Set(app.pids())
    const requests = load(app, 8)
    for (let generation = 2; generation <= 11; generation++) {
      assert.deepEqual(await app.supervisor.reload(), { generation })
      for (const pid of app.pids()) pids.add(pid)
    }
    const answers = await requests.stop()
    for (const body of answers) assert.match(body, /^([1-9]|1[01]) [12]$/)
    assert.ok(answers.length > 0)
    assert.deepEqual(workers(app), ['11 1', '11 2'])
    assert.match(await answer(app), /^11 /)
    await app.supervisor.stop()
    assert.equal(pids.size, threads ? 1 : 22)
    assert.ok(threads || ![...pids].some(isAlive))
  })
}

test('once the generation has switched no connection goes to the old one', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP), workers: 2 })
  const leave = await hanging(t, app.port)
  const told = steps(app)
  const reloaded = app.supervisor.reload()
  await once(app.supervisor, 'switched')
  for (let i = 0; i < 10; i++) assert.match(await answer(app), /^2 /)
  assert.deepEqual(told, ['reloading 2', 'switched 2'])
  leave()
  await reloaded
  assert.deepEqual(told, ['reloading 2', 'switched 2', 'reloaded 2'])
  assert.deepEqual(workers(app), ['2 1', '2 2'])
})

for (const { threads, kind } of both) {
  test(`the new generation runs what the reload says, and so do restarts after it (${kind})`, async (t) => {
    const app = await supervise(t, { script: program(t, APP), threads, env: { ...process.env, WORD: 'first' } })
    assert.equal(await answer(app), '1 1 first')
    const script = program(t, APP.replace('HANDOVER_WORKER, WORD]', "'changed', WORD]"))
    await app.supervisor.reload({ script, env: { ...process.env, WORD: 'second' } })
    assert.equal(await answer(app), '2 changed second')
    await assert.rejects(get({ port: app.port }, '/crash'))
    assert.equal(await answer(app), '2 changed second')
    await app.supervisor.reload()
    assert.equal(await answer(app), '3 changed second')
  })
}

const failing: [what: string, source: string, options: (enough: number) => ReloadOptions, message: RegExp][] = [
  [
    'throws',
    `throw new Error('broken on purpose')`,
    () => ({}),
    /^generation 2: worker \d ended \(.*\) before all were ready/,
  ],
  ['ends', '', () => ({}), /^generation 2: worker \d ended \(exit code 0\)/],
  [
    'never listens',
    'setInterval(() => {}, 1000)',
    () => ({ milliseconds: 500 }),
    /after 500 ms worker 1 does not listen, worker 2/,
  ],
  [
    'has one worker that does not listen',
    `if (process.env.HANDOVER_WORKER === '2') setInterval(() => {}, 1000)\nelse await import(process.env.APP)`,
    (milliseconds) => ({ milliseconds }),
    /after \d+ ms worker 2 does not listen/,
  ],
  [
    'listens elsewhere',
    `process.env.PORT = process.env.OTHER\nawait import(process.env.APP)`,
    () => ({}),
    /on none of the ports/,
  ],
]

for (const { threads, kind } of both) {
  for (const [what, source, options, message] of failing) {
    test(`a new generation that ${what} is ended, and the old one serves on (${kind})`, async (t) => {
      const OTHER = String(await freePort())
      const APP_FILE = program(t, APP)
      const env = { ...process.env, OTHER, APP: APP_FILE }
      const app = await supervise(t, { script: APP_FILE, workers: 2, threads, env })
      const pids = app.pids()
      const requests = load(app, 2)
      await assert.rejects(app.supervisor.reload({ script: program(t, source), ...options(app.enough) }), {
        code: 'ERR_HANDOVER_WORKERS_FAILED',
        message,
      })
      for (const body of await requests.stop()) assert.match(body, /^1 /)
      assert.match(await answer(app), /^1 /)
      assert.deepEqual(app.pids(), pids)
      assert.deepEqual(workers(app), ['1 1', '1 2'])
      await assert.rejects(get({ port: Number(OTHER) }), { code: 'ECONNREFUSED' })
      assert.deepEqual(await app.supervisor.reload({ script: APP_FILE }), { generation: 3 })
      assert.match(await answer(app), /^3 /)
    })
  }
}

test('a port that cannot be opened fails the reload with the reason', async (t) => {
  const taken = await supervise(t, { script: program(t, APP) })
  const app = await supervise(t, { script: program(t, APP) })
  await assert.rejects(app.supervisor.reload({ env: { ...process.env, PORT: String(taken.port) } }), {
    code: 'ERR_HANDOVER_WORKERS_FAILED',
    message: new RegExp(`EADDRINUSE: .* 127.0.0.1:${taken.port}$`),
  })
  assert.equal(await answer(app), '1 1')
})

test('a script that is not there, or an option, is refused, and nothing changes', async (t) => {
  const app = await supervise(t, { script: program(t, APP) })
  const told = steps(app)
  await assert.rejects(app.supervisor.reload({ script: '/no/such/script.mjs' }), /^TypeError: script: there is no file/)
  await assert.rejects(app.supervisor.reload({ script: 'relative.mjs' }), /^TypeError: script: an absolute path/)
  await assert.rejects(app.supervisor.reload({ milliseconds: 0 }), { name: 'RangeError', message: /^milliseconds/ })
  // @ts-expect-error no such option
  await assert.rejects(app.supervisor.reload({ policy: 'round-robin' }), /^TypeError: policy: no such option/)
  assert.deepEqual(told, [])
  assert.equal(await answer(app), '1 1')
})

test('ports of both stay open, one of the old alone closes when it has gone, one of the new alone opens', async (t) => {
  noLeak(t)
  const more = `import { createServer as another } from 'node:http'
for (const port of process.env.MORE.split(' ')) another((_, response) => response.end(port)).listen(Number(port), '127.0.0.1')
`
  const [first, second] = [await freePort(), await freePort()]
  const env = { ...process.env, MORE: String(first) }
  const app = await supervise(t, { script: program(t, APP + more), env })
  await until('it listens twice', () => app.supervisor.status().ports.length === 2)
  const place = app.supervisor.status().ports
  assert.equal(await answer({ port: first }), String(first))
  const leave = await hanging(t, app.port)
  const reloaded = app.supervisor.reload({ env: { ...process.env, MORE: String(second) } })
  await once(app.supervisor, 'switched')
  assert.equal(await answer({ port: second }), String(second))
  assert.equal(app.supervisor.status().ports.length, 3)
  leave()
  await reloaded
  assert.deepEqual(app.supervisor.status().ports, [place[0], { address: '127.0.0.1', family: 'IPv4', port: second }])
  assert.equal(await answer(app), '2 1')
  await assert.rejects(get({ port: first }), { code: 'ECONNREFUSED' })
})

test('a new generation that listens on its second port later has both from the first moment', async (t) => {
  const second = await freePort()
  const late = `${APP}
if (HANDOVER_GENERATION !== '1') await new Promise((resolve) => setTimeout(resolve, 300))
createServer((_, response) => response.end(HANDOVER_GENERATION)).listen(Number(process.env.SECOND), '127.0.0.1')
`
  const app = await supervise(t, { script: program(t, late), env: { ...process.env, SECOND: String(second) } })
  await until('it listens twice', () => app.supervisor.status().ports.length === 2)
  const requests = [load(app, 2), load({ port: second }, 2)]
  await app.supervisor.reload()
  const answers = await Promise.all(requests.map((one) => one.stop()))
  assert.ok(answers.flat().every((body) => /^[12]/.test(body)))
  assert.equal(await answer({ port: second }), '2')
})

test('ports that the supervisor opened itself stay the same, of files too', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const app = await supervise(t, { script: fixture('serve-any.mjs'), preload: false, listen: [{ path }], workers: 2 })
  const before = (await get({ path })).body
  await app.supervisor.reload()
  assert.notEqual((await get({ path })).body, before)
  assert.deepEqual(app.supervisor.status().ports, [path])
})
