/** `handover reload` and `stop`: the command and a `handover run`, both as a user starts them. */
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { connect, get } from '../support/client.js'
import { controlFolder, handover, isAlive } from '../support/command.js'
import { fixture, scratch } from '../support/paths.js'
import { AT_ONCE, done, LISTENS, objects, started } from '../support/steered.js'
import { isRunning } from '../support/successions.js'

test('reload waits, shows its steps, and new connections find the new workers', async (t) => {
  const { run, port } = await started(t, ['-w', '2'])
  const { body: before } = await get({ port })
  const { code, out } = await done(t, 'reload', ...AT_ONCE)
  assert.equal(code, 0, out)
  for (const step of [
    /generation 2 starts/,
    /worker 2 ready/,
    /generation 2 has every new connection/,
    /generation 2 serves$/,
  ]) {
    assert.match(out.trim(), step)
  }
  const { body: after } = await get({ port })
  assert.notEqual(parseInt(after, 10), parseInt(before, 10))
  assert.ok(!isAlive(parseInt(before, 10)), 'the old worker is gone when the command ends')
  assert.match(run.stdout(), /generation 2 has every new connection/)
})

test('reload --json tells each step as an object, and the answer last', async (t) => {
  await started(t)
  const { code, out } = await done(t, 'reload', ...AT_ONCE, '--json')
  assert.equal(code, 0)
  const events = objects(out)
  assert.deepEqual(
    events.map(({ event }) => event),
    ['reloading', 'ready', 'switched', 'ended', 'reloaded', 'done'],
  )
  assert.equal(events.at(-1)?.generation, 2)
})

test('a reload to a script that fails: exit code 1 and why; the old workers serve on', async (t) => {
  const { port } = await started(t)
  const { body: before } = await get({ port })
  const { code, err } = await done(t, 'reload', ...AT_ONCE, '--script', fixture('throws.mjs'))
  assert.equal(code, 1)
  assert.match(err, /^handover generation 2: worker 1 ended \(exit code 1\)/)
  assert.match(err, /^ {2}\[1\] throw new Error\('broken on purpose'\)$/m, 'what it wrote last')
  assert.equal((await get({ port })).body, before)
  const json = await done(t, 'reload', ...AT_ONCE, '--script', fixture('throws.mjs'), '--json')
  assert.equal(json.code, 1)
  const last = objects(json.out).at(-1)
  assert.equal(last?.event, 'failed')
  assert.equal(last?.code, 'ERR_HANDOVER_WORKERS_FAILED')
  assert.equal(last?.exit, 1)
  const output = last?.output as string[]
  assert.ok(output.some((line) => line.includes('broken on purpose')))
})

test('a release that fails within the health window is undone: exit code 1, the old workers serve again', async (t) => {
  const { port } = await started(t)
  const { body: before } = await get({ port })
  const reload = handover(t, ['reload', '--health-window', '60', '--script', fixture('crash-on-demand.mjs')])
  await reload.line(/generation 2 has every new connection/)
  await assert.rejects(get({ port }, '/crash'))
  assert.equal(await reload.ended, 1)
  assert.match(reload.stdout(), /generation 2 is given up, generation 1 serves again/)
  assert.match(reload.stderr(), /^handover .*\n {2}\[1\] out\n/)
  assert.equal((await get({ port })).body, before)
})

test('scale starts workers and ends some; drain replaces one', async (t) => {
  const { run, port } = await started(t)
  const more = await done(t, 'scale', '3')
  assert.equal(more.code, 0, more.err)
  assert.match(more.out, /worker 3 ready[\s\S]*3 workers from now on\n$/)
  const less = objects((await done(t, 'scale', '1', '--json')).out)
  assert.deepEqual(
    less.map(({ event }) => event),
    ['ended', 'ended', 'done'],
  )
  const { stdout } = run
  assert.match(stdout(), /scaled from 1 to 3 workers$/m)
  assert.match(stdout(), /scaled from 3 to 1 worker\n[\s\S]*worker \d ended/, 'before those that go')
  const { body: before } = await get({ port })
  const drain = await done(t, 'drain', '1')
  assert.equal(drain.code, 0, drain.err)
  assert.match(drain.out, /worker 1 is process \d+ from now on/)
  assert.notEqual((await get({ port })).body, before)
  assert.match((await done(t, 'drain', '7')).err, /there is no worker 7; there are 1/)
})

test('reload --env changes a variable, --update-env all of them, and the next reload keeps them', async (t) => {
  const folder = scratch(t)
  const script = join(folder, 'shows.mjs')
  writeFileSync(
    script,
    `import { createServer } from 'node:http'
     createServer((_, response) => response.end([process.env.A, process.env.B].join())).listen(0, '127.0.0.1')`,
  )
  const { port } = await started(t, [], script)
  const shown = async (...args: string[]): Promise<string> => {
    const reload = handover(t, ['reload', ...AT_ONCE, ...args], { env: { ...process.env, B: 'mine' } })
    assert.equal(await reload.ended, 0, reload.said())
    return (await get({ port })).body
  }
  assert.equal(await shown('--env', 'A=1=2'), '1=2,')
  assert.equal(await shown(), '1=2,')
  assert.equal(await shown('--update-env', '--env', 'A=3'), '3,mine')
})

test('reload --update-env gives workers nothing that was said to one process alone, and no secret', async (t) => {
  const script = join(scratch(t), 'shows.mjs')
  writeFileSync(
    script,
    `import { createServer } from 'node:http'
     createServer((_, response) => response.end(JSON.stringify(process.env))).listen(0, '127.0.0.1')`,
  )
  const { port } = await started(t, [], script)
  const own = {
    HANDOVER_ADMIN_TOKEN: 'a-token-of-the-tests',
    NOTIFY_SOCKET: '/nowhere/notify',
    WATCHDOG_USEC: '1000000',
    WATCHDOG_PID: '1',
    LISTEN_FDS: '1',
    LISTEN_PID: '1',
    LISTEN_FDNAMES: 'http',
    HANDOVER_SUCCESSION: '1',
    HANDOVER_GROUP: 'others',
    HANDOVER_ORPHANS: 'wait',
  }
  const env = { ...process.env, ...own, HANDOVER_WORKER: '9', MINE: 'yes' }
  const reload = handover(t, ['reload', ...AT_ONCE, '--update-env'], { env })
  assert.equal(await reload.ended, 0, reload.said())
  const has = JSON.parse((await get({ port })).body) as Record<string, string>
  assert.deepEqual(
    Object.keys(own).filter((name) => name in has),
    [],
  )
  assert.deepEqual([has.MINE, has.HANDOVER_WORKER], ['yes', '1'])
})

test('a release behind a symbolic link is found by a reload, also where the folder was entered by it', async (t) => {
  const folder = scratch(t)
  for (const release of ['1', '2']) {
    mkdirSync(join(folder, release))
    writeFileSync(
      join(folder, release, 'app.mjs'),
      `import { createServer } from 'node:http'
       createServer((_, response) => response.end('release ${release}')).listen(0, '127.0.0.1')`,
    )
  }
  const current = join(folder, 'current')
  symlinkSync('1', current)
  const run = handover(t, ['run', 'app.mjs'], { cwd: current, env: { ...process.env, PWD: current } })
  const port = Number(await run.line(LISTENS))
  await run.line(/worker 1 ready/)
  assert.equal((await get({ port })).body, 'release 1')
  symlinkSync('2', `${current}-new`)
  renameSync(`${current}-new`, current)
  assert.equal((await done(t, 'reload', ...AT_ONCE)).code, 0)
  assert.equal((await get({ port })).body, 'release 2')
})

test('reload --no-wait returns when it has begun', async (t) => {
  const { run } = await started(t)
  const { code, out } = await done(t, 'reload', ...AT_ONCE, '--no-wait')
  assert.equal(code, 0)
  assert.match(out, /the reload is under way/)
  await run.line(/generation 1 is gone/)
})

test('SIGUSR2 reloads, and says in the log why not', async (t) => {
  const folder = scratch(t)
  const script = join(folder, 'app.mjs')
  copyFileSync(fixture('http-pid.mjs'), script)
  const { run } = await started(t, [], script)
  run.child.kill('SIGUSR2')
  await run.line(/generation 1 is gone/)
  writeFileSync(script, 'throw new Error("no such table")')
  run.child.kill('SIGUSR2')
  await run.line(/reload failed, the old workers serve on: .*worker 1/)
})

test('Ctrl-C while a reload is waited for leaves it going on', async (t) => {
  const { run, port } = await started(t, [], fixture('crash-on-demand.mjs'))
  const open = await connect({ port })
  t.after(() => open.destroy())
  open.write('GET /hang HTTP/1.1\r\nhost: x\r\n\r\n')
  await new Promise((resolve) => open.once('data', resolve))
  const reload = handover(t, ['reload', ...AT_ONCE])
  await reload.line(/generation 2 has every new connection/)
  reload.child.kill('SIGINT')
  assert.equal(await reload.ended, 130)
  assert.match(reload.stderr(), /the reload goes on; `handover status` shows it/)
  assert.match((await done(t, 'status')).out, /generation 1 finishes its connections.*\n.*generation 2 serves/)
  open.destroy()
  await run.line(/generation 1 is gone/)
})

test('stop waits until process and socket are gone', async (t) => {
  const { run } = await started(t, ['-w', '2'])
  const { code, out } = await done(t, 'stop')
  assert.equal(code, 0)
  assert.match(out, /http-pid has stopped/)
  assert.ok(!isRunning(run.child.pid as number))
  assert.equal(await run.ended, 0)
  assert.deepEqual(readdirSync(controlFolder(t)), [])
  assert.equal((await done(t, 'status')).code, 3)
})

test('stop --now does not wait for open connections, not even those that are waited for already', async (t) => {
  const { run, port } = await started(t, [], fixture('crash-on-demand.mjs'))
  const open = await connect({ port })
  t.after(() => open.destroy())
  open.on('error', () => {}).write('GET /hang HTTP/1.1\r\nhost: x\r\n\r\n')
  await new Promise((resolve) => open.once('data', resolve))
  const patient = handover(t, ['stop', '--timeout', '600'])
  await run.line(/finishing open connections/)
  assert.equal((await done(t, 'stop', '--now', '--json')).code, 0)
  assert.equal(await patient.ended, 0)
  assert.equal(await run.ended, 0)
})

test('where the working folder is gone the reason names it: of a reload, and of a worker that is to be replaced', async (t) => {
  const folder = join(scratch(t), 'release')
  mkdirSync(folder)
  const { run, port } = await started(t, ['--cwd', folder])
  const { body } = await get({ port })
  renameSync(folder, `${folder}.old`)
  const reload = await done(t, 'reload', ...AT_ONCE)
  assert.equal(reload.code, 1, reload.err)
  assert.match(reload.err, /there is no folder \S+\/release: check the path of cwd$/m)
  assert.equal((await get({ port })).body, body, 'nothing was done')
  process.kill(parseInt(body, 10), 'SIGKILL')
  await run.line(/worker 1 ended \(could not start: there is no folder \S+\/release to run in\)/)
})
