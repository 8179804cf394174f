import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { pathToFileURL } from 'node:url'
import type { HandoverError, ReadinessOptions } from '../../src/index.js'
import { command as runCommand } from '../support/command.js'
import { noLeak } from '../support/descriptors.js'
import { APP, answer, both, load, states, steps, workers } from '../support/generations.js'
import { fixture, root, scratch } from '../support/paths.js'
import { program } from '../support/programs.js'
import { supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

const readiness: ReadinessOptions = { http: '/ready', interval: 20 }

for (const { threads, kind } of both) {
  test(`a generation that is asked by HTTP takes over when all of its workers answer well, not before (${kind})`, async (t) => {
    noLeak(t)
    const app = await supervise(t, { script: program(t, APP), workers: 2, threads, readiness })
    const requests = load(app, 2)
    await app.supervisor.reload({ env: { ...process.env, READY_AFTER: '3' } })
    for (const body of await requests.stop()) assert.match(body, /^[12] [12]$/)
    assert.match(await answer(app), /^2 /)
    // The workers of the new generation alone were asked, each until it was ready.
    const asked = app.lines.filter((line) => line.startsWith('asked'))
    assert.ok(asked.length >= 8, `${asked.length} questions`)
    assert.ok(asked.every((line) => line === 'asked 2'))
  })
}

test('the question goes to each new worker itself, at the port or path that the URL names', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const app = await supervise(t, {
    script: program(t, APP.replace('Number(PORT), ', '').replace("'127.0.0.1'", 'PORT')),
    env: { ...process.env, PORT: path },
  })
  await app.supervisor.reload({ readiness })
  assert.deepEqual(workers(app), ['2 1'])
  assert.deepEqual(app.lines, ['asked 2'])
  await assert.rejects(
    app.supervisor.reload({ readiness: { ...readiness, http: 'http://x:1/ready' }, milliseconds: app.enough }),
    {
      message: `generation 3: after ${app.enough} ms worker 1 listens on no port to be asked at`,
    },
  )
})

test('a generation that is asked in vain is given up: the error says what it answered and what it wrote', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP), workers: 2, readiness })
  const pids = app.pids()
  const requests = load(app, 2)
  const failed = (await app.supervisor
    .reload({ env: { ...process.env, READY_AFTER: '-1' }, milliseconds: app.enough })
    .catch((error: Error) => error)) as HandoverError
  assert.equal(failed.code, 'ERR_HANDOVER_WORKERS_FAILED')
  assert.match(failed.message, /^generation 2: after \d+ ms worker 1: it answers \/ready with status 503, worker 2: /)
  assert.ok(failed.output?.includes('[1] asked 2') && failed.output.includes('[2] asked 2'))
  assert.ok(failed.output !== undefined && failed.output.length <= 40)
  for (const body of await requests.stop()) assert.match(body, /^1 /)
  assert.deepEqual(app.pids(), pids)
  assert.deepEqual(states(app), ['1 serving'])
})

test('a worker that ends before it is ready leaves its last lines in the error', async (t) => {
  const app = await supervise(t, { script: program(t, APP) })
  const lines = Array.from({ length: 30 }, (_, index) => `line ${index}`)
  const script = program(t, `console.log(${JSON.stringify(lines.join('\n'))})\nprocess.exitCode = 9`)
  await assert.rejects(app.supervisor.reload({ script }), (error: HandoverError) => {
    assert.equal(error.message, 'generation 2: worker 1 ended (exit code 9) before all were ready')
    assert.deepEqual(
      error.output,
      lines.slice(10).map((line) => `[1] ${line}`),
    )
    return true
  })
})

test('a command says when a generation is ready: it runs until its exit code is 0', async (t) => {
  noLeak(t)
  const ready = join(scratch(t), 'ready')
  const log = join(scratch(t), 'log')
  const command = [
    '/bin/sh',
    '-c',
    `echo "$HANDOVER_GENERATION $HANDOVER_PIDS" >> ${log}; echo "no file"; test -e ${ready}`,
  ]
  const app = await supervise(t, { script: program(t, APP), workers: 2, readiness: { command, interval: 20 } })
  const reloaded = app.supervisor.reload()
  await until('it was run twice', () => existsSync(log) && readFileSync(log, 'utf8').split('\n').length > 2)
  assert.match(await answer(app), /^1 /)
  assert.deepEqual(states(app), ['1 serving', '2 starting'])
  const pids = app.pids().slice(2)
  writeFileSync(ready, '')
  await reloaded
  assert.equal(readFileSync(log, 'utf8').split('\n')[0], `2 ${pids.join(' ')}`)
  rmSync(ready)
  await assert.rejects(app.supervisor.reload({ milliseconds: app.enough }), {
    code: 'ERR_HANDOVER_WORKERS_FAILED',
    message: `generation 3: after ${app.enough} ms the command /bin/sh ended with exit code 1: no file`,
  })
  const missing = { command: ['/no/such/program'], interval: 20 }
  await assert.rejects(
    app.supervisor.reload({ milliseconds: app.enough, readiness: missing }),
    /cannot be run: .*ENOENT/,
  )
})

test('a command that cannot be started for want of descriptors says so, and the supervisor lives', async (t) => {
  const module = pathToFileURL(join(root, 'dist/src/supervisor/generations/command-probe.js')).href
  const source = `import { closeSync, openSync } from 'node:fs'
import { askCommand } from ${JSON.stringify(module)}
const setting = { generation: 2, env: process.env, cwd: '/', slots: () => [] }
const ask = () => askCommand(['/bin/true'], setting, new AbortController().signal)
await ask()
const all = []
try {
  for (;;) all.push(openSync('/dev/null'))
} catch {}
const said = await ask().catch(({ message }) => message)
all.forEach((one) => closeSync(one))
console.log(said)
await ask()`
  const run = runCommand(t, 'prlimit', ['--nofile=100', process.execPath, program(t, source)])
  assert.equal(await run.ended, 0, run.stderr())
  assert.match(run.stdout(), /^the command \/bin\/true cannot be run: .*EMFILE/)
})

test('a command that hangs is ended with the reload', async (t) => {
  noLeak(t)
  const pid = join(scratch(t), 'pid')
  const app = await supervise(t, { script: program(t, APP) })
  const command = ['/bin/sh', '-c', `echo $$ > ${pid}; exec sleep 1000`]
  await assert.rejects(app.supervisor.reload({ readiness: { command }, milliseconds: app.enough }))
  // It may be killed before it has said who it is.
  const said = existsSync(pid) ? readFileSync(pid, 'utf8').trim() : ''
  await until('it is gone', () => said === '' || !existsSync(`/proc/${said}`))
})

for (const { threads, kind } of both) {
  test(`a program that says itself when it is ready gets no connection before, restarted neither (${kind})`, async (t) => {
    noLeak(t)
    const env = { ...process.env, GATE: join(scratch(t), 'gate') }
    writeFileSync(env.GATE, '')
    const app = await supervise(t, { script: fixture('says-ready.mjs'), threads, env, readiness: { explicit: true } })
    assert.equal(await answer(app), '1')
    rmSync(env.GATE)
    const told = steps(app)
    const reloaded = app.supervisor.reload()
    await until('it listens', () => app.lines.filter((line) => line === 'listens').length === 2)
    assert.equal(await answer(app), '1')
    assert.deepEqual(told, ['reloading 2'])
    writeFileSync(env.GATE, '')
    await reloaded
    assert.equal(await answer(app), '2')
    rmSync(env.GATE)
    await assert.rejects(answer(app, '/crash'))
    await until('its successor listens', () => app.lines.filter((line) => line === 'listens').length === 3)
    const asked = answer(app)
    assert.equal(app.supervisor.status().workers[0]?.state, 'starting')
    writeFileSync(env.GATE, '')
    assert.equal(await asked, '2')
  })
}

test('a program that never says that it is ready is not', async (t) => {
  const app = await supervise(t, { script: program(t, APP) })
  await assert.rejects(app.supervisor.reload({ readiness: { explicit: true }, milliseconds: app.enough }), {
    message: `generation 2: after ${app.enough} ms worker 1 has not called ready()`,
  })
})

test('a release folder behind a link is looked up anew by each generation, and by nothing else', async (t) => {
  const folder = scratch(t)
  const current = join(folder, 'current')
  const release = (name: string): void => {
    mkdirSync(join(folder, name))
    writeFileSync(
      join(folder, name, 'app.mjs'),
      `import { createServer } from 'node:http'
createServer((request, response) => {
  if (request.url === '/crash') process.exit(7)
  response.end('${name} ' + process.cwd())
}).listen(0, '127.0.0.1')`,
    )
    rmSync(current, { force: true })
    symlinkSync(name, current)
  }
  release('one')
  const app = await supervise(t, { script: join(current, 'app.mjs'), cwd: current })
  const one = `one ${realpathSync(join(folder, 'one'))}`
  assert.equal(await answer(app), one)
  release('two')
  await assert.rejects(answer(app, '/crash')) // a restart is no reload
  assert.equal(await answer(app), one)
  await app.supervisor.reload()
  assert.equal(await answer(app), `two ${realpathSync(join(folder, 'two'))}`)
})

const wrong: [readiness: object, message: RegExp][] = [
  [
    { http: 'ready' },
    /^TypeError: readiness.http: a path from "\/" on, or a URL of http or https, not the string "ready"/,
  ],
  [{ command: [] }, /^TypeError: readiness.command: a list of a program and its arguments/],
  [{ explicit: 1 }, /^TypeError: readiness.explicit: true or false, not 1/],
  [{ interval: 0 }, /^RangeError: readiness.interval: a whole number from 1/],
  [{ url: '/x' }, /^TypeError: url: no such option/],
]

test('a wrong readiness is refused by name', async (t) => {
  const app = await supervise(t, { script: program(t, APP) })
  for (const [one, message] of wrong) await assert.rejects(app.supervisor.reload({ readiness: one }), message)
  await assert.rejects(app.supervisor.reload({ healthWindow: -1 }), /^RangeError: healthWindow/)
})

test('stop while new workers are asked ends them, and the question', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP), readiness })
  const reloading = once(app.supervisor, 'line')
  const reloaded = app.supervisor.reload({ env: { ...process.env, READY_AFTER: '-1' } })
  const rejected = assert.rejects(reloaded, { code: 'ERR_HANDOVER_STOPPED' })
  await reloading
  await Promise.all([app.supervisor.stop(), rejected])
  assert.deepEqual(app.supervisor.status().generations, [])
})
