/** The commands that speak to a `handover run`: both as a user starts them. */
import assert from 'node:assert/strict'
import {
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { connect, get } from '../support/client.js'
import { type Command, command, controlFolder, handover, isAlive } from '../support/command.js'
import { fixture, root, scratch } from '../support/paths.js'
import { STRANGER } from '../support/peers.js'

const PORT = /listening on 127\.0\.0\.1:(\d+)/

interface App {
  run: Command
  port: number
}

/** A server under `handover run`, all workers ready. */
async function started(t: TestContext, args: string[] = [], script = fixture('http-pid.mjs')): Promise<App> {
  const run = handover(t, ['run', ...args, script])
  const port = Number(await run.line(PORT))
  const workers = Number(args[args.indexOf('-w') + 1] ?? 1) || 1
  await run.line(new RegExp(`(?:worker \\d+ ready[\\s\\S]*){${workers}}`))
  return { run, port }
}

/** Runs a command to its end. */
async function done(t: TestContext, ...args: string[]): Promise<{ code: unknown; out: string; err: string }> {
  const ran = handover(t, args)
  const code = await ran.ended
  return { code, out: ran.stdout(), err: ran.stderr() }
}

const objects = (out: string): Record<string, unknown>[] =>
  out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

test('status shows generations, workers, ports and connections', async (t) => {
  const { run, port } = await started(t, ['-w', '2'])
  const client = await connect({ port })
  t.after(() => client.destroy())
  await get({ port })
  const { code, out } = await done(t, 'status')
  assert.equal(code, 0)
  assert.match(out, new RegExp(`^http-pid: .*http-pid\\.mjs, pid ${run.child.pid}, up \\d+s, handover \\d`))
  assert.match(out, new RegExp(`ports: 127\\.0\\.0\\.1:${port}`))
  assert.match(out, /connections: \d+ open, 2 in all, \d+\/s, 0 waiting, 0 undecided/)
  assert.match(out, /generation 1 serves.*: 2 workers/)
  assert.match(out, /^worker +gen +pid +state +open +total +\/s +unclaimed +restarts/m)
  assert.equal(out.match(/^ +[12] +1 +\d+ +ready /gm)?.length, 2)
  const [status] = objects((await done(t, 'status', '--json')).out) as [Record<string, unknown>]
  assert.equal(status.pid, run.child.pid)
  assert.equal((status.workers as object[]).length, 2)
  assert.equal(status.dispatched, 2)
})

test('reload waits, shows its steps, and new connections find the new workers', async (t) => {
  const { run, port } = await started(t, ['-w', '2'])
  const { body: before } = await get({ port })
  const { code, out } = await done(t, 'reload')
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
  const { code, out } = await done(t, 'reload', '--json')
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
  const { code, err } = await done(t, 'reload', '--script', fixture('throws.mjs'))
  assert.equal(code, 1)
  assert.match(err, /^handover .*worker 1/)
  assert.equal((await get({ port })).body, before)
  const json = await done(t, 'reload', '--script', fixture('throws.mjs'), '--json')
  assert.equal(json.code, 1)
  const last = objects(json.out).at(-1)
  assert.equal(last?.event, 'failed')
  assert.equal(last?.code, 'ERR_HANDOVER_WORKERS_FAILED')
  assert.equal(last?.exit, 1)
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
    const reload = handover(t, ['reload', ...args], { env: { ...process.env, B: 'mine' } })
    assert.equal(await reload.ended, 0, reload.said())
    return (await get({ port })).body
  }
  assert.equal(await shown('--env', 'A=1=2'), '1=2,')
  assert.equal(await shown(), '1=2,')
  assert.equal(await shown('--update-env', '--env', 'A=3'), '3,mine')
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
  const port = Number(await run.line(PORT))
  await run.line(/worker 1 ready/)
  assert.equal((await get({ port })).body, 'release 1')
  symlinkSync('2', `${current}-new`)
  renameSync(`${current}-new`, current)
  assert.equal((await done(t, 'reload')).code, 0)
  assert.equal((await get({ port })).body, 'release 2')
})

test('reload --no-wait returns when it has begun', async (t) => {
  const { run } = await started(t)
  const { code, out } = await done(t, 'reload', '--no-wait')
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
  await run.line(/the reload failed: .*worker 1/)
})

test('Ctrl-C while a reload is waited for leaves it going on', async (t) => {
  const { run, port } = await started(t, [], fixture('crash-on-demand.mjs'))
  const open = await connect({ port })
  t.after(() => open.destroy())
  open.write('GET /hang HTTP/1.1\r\nhost: x\r\n\r\n')
  await new Promise((resolve) => open.once('data', resolve))
  const reload = handover(t, ['reload'])
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
  assert.ok(run.child.exitCode !== null || !isAlive(run.child.pid as number))
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

test('logs shows the last lines, of one worker, and follows', async (t) => {
  const { run, port } = await started(t, ['-w', '2'], fixture('crash-on-demand.mjs'))
  await run.line(/(?:\[\d\] err[\s\S]*){2}/)
  const all = await done(t, 'logs')
  assert.equal(all.code, 0)
  assert.equal(all.out.match(/^\[[12]\] (out|of two lines|err)$/gm)?.length, 6)
  const one = objects((await done(t, 'logs', '--worker', '2', '--lines', '2', '--json')).out)
  assert.deepEqual(
    one.map(({ worker, level }) => [worker, level]),
    [
      [2, 'info'],
      [2, 'info'],
    ],
  )
  const followed = handover(t, ['logs', '--follow', '--lines', '0'])
  // It follows from some moment on: workers go on writing until it has heard of one.
  let heard = false
  void followed.line(/\[\d\] err/).then(() => {
    heard = true
  })
  while (!heard) await get({ port }, '/crash').catch(() => {})
  assert.equal((await done(t, 'stop')).code, 0)
  assert.equal(await followed.ended, 0, 'it ends with the supervisor')
})

test('top without a terminal prints a line a worker, and ends with the supervisor', async (t) => {
  await started(t, ['-w', '2'])
  const top = handover(t, ['top'])
  await top.line(/(?:worker \d generation 1 pid \d+ ready open 0 total 0 0\/s\n){2}/)
  const json = handover(t, ['top', '--json'])
  await json.line(/"workers":\[/)
  assert.equal((await done(t, 'stop')).code, 0)
  assert.equal(await top.ended, 0)
  assert.equal(await json.ended, 0)
})

test('top on a terminal shows the status; q leaves', { skip: !existsSync('/usr/bin/script') }, async (t) => {
  await started(t)
  const main = join(root, 'dist/src/cli/main.js')
  const env = { ...process.env, HANDOVER_CONTROL_DIR: controlFolder(t), TERM: 'xterm' }
  const shown = command(t, 'script', ['-qec', `stty rows 40 cols 120; ${process.execPath} ${main} top`, '/dev/null'], {
    env,
    input: '',
  })
  await shown.line(/generation 1 serves/)
  shown.child.stdin?.write('q')
  assert.equal(await shown.ended, 0)
})

test('two supervisors run by names of their own; a command must say which', async (t) => {
  const one = await started(t, ['--name', 'one'])
  const two = await started(t, ['--name', 'two'])
  const list = await done(t, 'list')
  assert.equal(list.code, 0)
  assert.match(list.out, /^name +pid +workers +open +\/s +up +script\none +\d+ +1 .*\ntwo +\d+ +1 /)
  assert.match((await done(t, 'status')).out, /^name +pid[\s\S]*\none [\s\S]*\ntwo /)
  assert.deepEqual(
    objects((await done(t, 'list', '--json')).out).map(({ name, pid }) => [name, pid]),
    [
      ['one', one.run.child.pid],
      ['two', two.run.child.pid],
    ],
  )
  const unclear = await done(t, 'reload')
  assert.equal(unclear.code, 100)
  assert.match(unclear.err, /several supervisors run: choose one by --name one, two/)
  assert.equal((await done(t, 'reload', '--name', 'two')).code, 0)
  assert.match(two.run.stdout(), /generation 2/)
  assert.doesNotMatch(one.run.stdout(), /generation 2/)
})

test('a second of the same name is told the pid of the first, and starts nothing: exit code 111', async (t) => {
  const { run } = await started(t)
  const second = await done(t, 'run', fixture('http-pid.mjs'))
  assert.equal(second.code, 111)
  assert.match(second.err, new RegExp(`process ${run.child.pid} runs as "http-pid" already .*choose another --name`))
  assert.equal(second.out, '')
})

test('the socket that a killed supervisor left is taken over', async (t) => {
  const { run } = await started(t)
  run.child.kill('SIGKILL')
  await run.exited
  assert.equal((await done(t, 'status', '--name', 'http-pid')).code, 3)
  await started(t)
  assert.equal((await done(t, 'status')).code, 0)
})

test('--no-control makes no socket; --control names its path', async (t) => {
  await started(t, ['--no-control'])
  assert.deepEqual(readdirSync(controlFolder(t)), [])
  const path = join(scratch(t), 'mine')
  await started(t, ['--control', path])
  assert.equal((await done(t, 'status', '--control', path)).code, 0)
  assert.equal((await done(t, 'status')).code, 3, 'its folder is not looked at')
})

const unusable: [what: string, args: (folder: string) => string[], code: number, message: RegExp][] = [
  [
    'a path too long',
    (folder) => ['--control', join(folder, 'x'.repeat(110))],
    100,
    /at most \d+ bytes.*a shorter one/,
  ],
  ['a folder that is not there', (folder) => ['--control', join(folder, 'no/x')], 111, /no such folder.*--no-control/],
  ['a name that is none', () => ['--name', '../x'], 100, /--name: 1 to 64 letters/],
]
for (const [what, args, code, message] of unusable) {
  test(`run with ${what}: one line, exit code ${code}, nothing started`, async (t) => {
    const ran = await done(t, 'run', ...args(scratch(t)), fixture('http-pid.mjs'))
    assert.equal(ran.code, code)
    assert.match(ran.err, message)
    assert.equal(ran.err.trim().split('\n').length, 1)
    assert.equal(ran.out, '')
  })
}

test('a folder of somebody else: run ends early with one line', { skip: process.getuid?.() !== 0 }, async (t) => {
  const folder = scratch(t)
  chownSync(folder, STRANGER, STRANGER)
  const run = handover(t, ['run', fixture('http-pid.mjs')], { control: folder })
  assert.equal(await run.ended, 111)
  assert.match(
    run.stderr(),
    new RegExp(`^handover no control socket: the folder .* belongs to user ${STRANGER}; .*--no-control\n$`),
  )
})

test('nobody runs: exit code 3, and what to do', async (t) => {
  for (const args of [['reload'], ['scale', '2'], ['drain', '1'], ['stop'], ['status'], ['top'], ['logs']]) {
    const { code, err } = await done(t, ...args)
    assert.equal(code, 3, args[0])
    assert.match(err, /^handover no supervisor of this user runs; `handover run` starts one\n$/)
  }
  const named = await done(t, 'stop', '--name', 'web', '--json')
  assert.equal(named.code, 3)
  assert.match(objects(named.out)[0]?.message as string, /no supervisor runs as "web"/)
  assert.deepEqual(await done(t, 'list'), { code: 0, out: '', err: '' })
})

const usage: [args: string[], message: RegExp][] = [
  [['scale'], /missing required argument 'n'/],
  [['scale', 'many'], /whole number from 0 to 1024/],
  [['drain', '0'], /whole number from 1/],
  [['reload', '--env', 'A'], /It takes NAME=VALUE/],
  [['reload', '--script', 'none.mjs'], /there is no script none\.mjs/],
  [['status', '--name', '../x'], /--name: 1 to 64/],
  [['top', '--interval', '0'], /whole number from 1/],
  [['completion', 'cmd'], /Allowed choices are bash, zsh, fish/],
]
for (const [args, message] of usage) {
  test(`\`${args.join(' ')}\` is bad usage: exit code 100`, async (t) => {
    if (args.includes('none.mjs')) await started(t)
    const { code, err } = await done(t, ...args)
    assert.equal(code, 100, err)
    assert.match(err, message)
    assert.doesNotMatch(err, /^\s+at /m)
  })
}

test('what listens at a path and is no supervisor is said to be none: exit code 111', async (t) => {
  const path = join(scratch(t), 'other')
  const other = net.createServer((socket) => socket.end('hello\n')).listen(path)
  t.after(() => other.close())
  const { code, err } = await done(t, 'status', '--control', path)
  assert.equal(code, 111)
  assert.equal(err.trim().split('\n').length, 1)
})
