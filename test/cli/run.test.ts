import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import { availableParallelism } from 'node:os'
import test from 'node:test'
import { connect, get } from '../support/client.js'
import { command, handover, isAlive } from '../support/command.js'
import { bin, fixture, root, scratch } from '../support/paths.js'
import { until } from '../support/wait.js'

const PORT = /listening on (?:http:\/\/)?127\.0\.0\.1:(\d+)/
const READY = /worker \d+ ready \(pid (\d+)\)/g

test('the help shows the options, examples and exit codes', async (t) => {
  const top = handover(t, ['--help'])
  assert.equal(await top.ended, 0)
  assert.match(top.stdout(), /run \[options\] \[script\]/)
  const run = handover(t, ['run', '--help'])
  assert.equal(await run.ended, 0)
  for (const wanted of [
    '--workers',
    '--policy',
    '--max-connections',
    '--backlog',
    '--json',
    'Examples:',
    'Exit codes:',
  ]) {
    assert.ok(run.stdout().includes(wanted), wanted)
  }
})

const usage: [rule: string, args: string[], message: RegExp][] = [
  ['no such script', ['run', 'missing.js'], /no script missing\.js in .*check the path/],
  [
    'no script at all',
    ['run'],
    /no script: name one \(`handover run server\.js`\), or say `script` in handover\.config\.ts/,
  ],
  ['no workers', ['run', '-w', '0', fixture('ends.mjs')], /whole number from 1 to 1024, or "max"/],
  ['nonsense workers', ['run', '-w', 'many', fixture('ends.mjs')], /whole number from 1 to 1024, or "max"/],
  ['a nonsense limit', ['run', '--max-connections', '-3', fixture('ends.mjs')], /whole number from 1/],
  [
    'an unknown policy',
    ['run', '--policy', 'fastest', fixture('ends.mjs')],
    /least-connections or round-robin or client-address, or the path of a module, not "fastest"/,
  ],
  ['a policy that is not there', ['run', '--policy', './none.mjs', fixture('ends.mjs')], /cannot be loaded/],
  [
    'a policy without a function',
    ['run', '--policy', fixture('ends.mjs'), fixture('ends.mjs')],
    /no function as its default export/,
  ],
  ['an unknown option', ['run', '--wrokers', '2', fixture('ends.mjs')], /unknown option '--wrokers'/],
  ['an unknown command', ['rnu', fixture('ends.mjs')], /unknown command 'rnu'/],
]

for (const [rule, args, message] of usage) {
  test(`${rule}: one clear line, exit code 100, nothing started`, async (t) => {
    const run = handover(t, args, { cwd: scratch(t) })
    assert.equal(await run.ended, 100)
    assert.match(run.stderr(), message)
    const lines = run.stderr().trim().split('\n')
    assert.ok(lines.length <= 4, `no more than a line, a suggestion and where to read on:\n${run.stderr()}`)
    assert.ok(!/^\s+at /m.test(run.stderr()), 'no stack trace')
  })
}

test('a port that is taken: one clear line with what to do, exit code 111', async (t) => {
  const other = net.createServer().listen(0, '127.0.0.1')
  t.after(() => other.close())
  await new Promise((resolve) => other.once('listening', resolve))
  const { port } = other.address() as net.AddressInfo
  const run = handover(t, ['run', '-w', '2', fixture('http-pid.mjs')], { env: { ...process.env, PORT: String(port) } })
  assert.equal(await run.ended, 111)
  const said = run.stdout() + run.stderr()
  assert.match(
    said,
    new RegExp(`cannot listen on 127\\.0\\.0\\.1 port ${port}: EADDRINUSE.*stop it or choose another port`),
  )
  assert.ok(!/^\s+at /m.test(said), `no stack trace:\n${said}`)
})

test('a script that throws is tried three times, shown, and given up with exit code 1', async (t) => {
  const run = handover(t, ['run', fixture('throws.mjs')])
  assert.equal(await run.ended, 1)
  assert.match(run.stderr(), /broken on purpose/)
  assert.match(
    run.stderr(),
    /^handover nothing listens, worker 1 failed: workers end before they listen \(exit code 1\)/m,
  )
})

test('a descriptor limit at which workers cannot be started: one line that says it and what raises it, exit code 111', async (t) => {
  const args = ['--nofile=100', process.execPath, bin, 'run', '-w', '40', fixture('http-pid.mjs')]
  const run = command(t, 'prlimit', args)
  assert.equal(await run.ended, 111)
  assert.match(
    run.stderr(),
    /^handover nothing listens, worker \d+ failed: workers cannot be started \(.*EMFILE.*\); raise the descriptor limit of 100/m,
  )
})

test('a descriptor limit too low to load the command is one line, exit code 111', async (t) => {
  const run = command(t, 'prlimit', ['--nofile=40', process.execPath, bin, 'status'])
  // From Node 22 on modules are loaded with so few that the command runs: nothing of this name does.
  if ((await run.ended) === 3) return
  assert.equal(await run.ended, 111)
  assert.match(
    run.stderr(),
    /^handover cannot even start: the descriptor limit is reached \(EMFILE\): raise it with `ulimit -n`.*\n$/,
  )
})

test('what the package calls `handover` is the command', async (t) => {
  const { bin: named } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { bin: { handover: string } }
  const run = command(t, process.execPath, [`${root}${named.handover}`, '--version'])
  assert.equal(await run.ended, 0)
  assert.match(run.stdout(), /^\d+\.\d+\.\d+/)
})

test('a script that ends without listening is told so, with exit code 1', async (t) => {
  const run = handover(t, ['run', fixture('ends.mjs')])
  assert.equal(await run.ended, 1)
  assert.match(run.stdout(), /\[1\] nothing to serve/)
  assert.match(run.stderr(), /ended without listening on any port/)
})

test("workers' output is prefixed with their number, line by line", async (t) => {
  const run = handover(t, ['run', '-w', '2', fixture('crash-on-demand.mjs')])
  await run.line(/\[2\] err/)
  for (const line of ['[1] out', '[1] of two lines', '[1] err', '[2] out', '[2] of two lines', '[2] err']) {
    await until(line, () => (line.endsWith('err') ? run.stderr() : run.stdout()).split('\n').includes(line))
  }
})

test('a crashed worker is restarted, and the service goes on', async (t) => {
  const run = handover(t, ['run', fixture('crash-on-demand.mjs')])
  const port = Number(await run.line(PORT))
  await run.line(/worker 1 ready/)
  await assert.rejects(get({ port }, '/crash'))
  await run.line(/worker 1 ended \(exit code 7\); another starts in \d+ ms/)
  assert.equal((await get({ port })).status, 200)
})

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  test(`${signal} drains and leaves with 0, and nothing it started is left`, async (t) => {
    const run = handover(t, ['run', '-w', '2', fixture('crash-on-demand.mjs')])
    const port = Number(await run.line(PORT))
    await until('both workers are ready', () => [...run.stdout().matchAll(READY)].length === 2)
    const pids = [...run.stdout().matchAll(READY)].map((match) => Number(match[1]))
    assert.equal((await get({ port })).status, 200)
    run.child.kill(signal)
    assert.equal(await run.ended, 0)
    assert.match(run.stdout(), /stopped\n$/)
    assert.ok(!pids.some(isAlive), 'no worker is left')
    await assert.rejects(connect({ port }), { code: 'ECONNREFUSED' })
  })
}

test('a second Ctrl-C ends at once with 130, even while a request hangs', async (t) => {
  const run = handover(t, ['run', fixture('crash-on-demand.mjs')])
  const port = Number(await run.line(PORT))
  const pid = Number(await run.line(/ready \(pid (\d+)\)/))
  const client = await connect({ port })
  const ended = new Promise((resolve) => client.on('close', resolve))
  client.on('error', () => {})
  const answered = new Promise((resolve) => client.once('data', resolve))
  client.write('GET /hang HTTP/1.1\r\nHost: x\r\n\r\n')
  await answered
  run.child.kill('SIGINT')
  await run.line(/finishing open connections/)
  // Two signals within half a second are one: ask until the second counts.
  const again = setInterval(() => run.child.kill('SIGINT'), 100)
  await run.line(/worker 1 ended/) // no later: a process in its last moments dies of a signal
  clearInterval(again)
  assert.equal(await run.ended, 130)
  await ended
  assert.ok(!isAlive(pid))
})

test('--json writes one object a line, and nothing else', async (t) => {
  const run = handover(t, ['run', '--json', '-w', '2', fixture('crash-on-demand.mjs')])
  await until('both workers are ready', () => run.stdout().split('"event":"ready"').length === 3)
  run.child.kill('SIGTERM')
  assert.equal(await run.ended, 0)
  const events = run
    .stdout()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { time: string; level: string; event: string })
  assert.ok(events.every(({ time, level, event }) => !Number.isNaN(Date.parse(time)) && level && event))
  for (const event of ['listening', 'ready', 'line', 'stopping', 'ended', 'stopped']) {
    assert.ok(
      events.some((one) => one.event === event),
      event,
    )
  }
  assert.equal(run.stderr(), '')
})

test('what follows the script is the script’s, and "max" is a worker per core', async (t) => {
  const run = handover(t, ['run', '-w', 'max', fixture('argv.mjs'), '--workers', '99', '-x', 'y'])
  assert.deepEqual(JSON.parse(await run.line(/\[1\] (\[.*\])/)), ['--workers', '99', '-x', 'y'])
  await until('all workers are ready', () => [...run.stdout().matchAll(READY)].length === availableParallelism())
})

test('a policy from a module chooses', async (t) => {
  const run = handover(t, ['run', '-w', '2', '--policy', fixture('policy-last.mjs'), fixture('http-pid.mjs')])
  const port = Number(await run.line(PORT))
  await until('both workers are ready', () => [...run.stdout().matchAll(READY)].length === 2)
  const last = /worker 2 ready \(pid (\d+)\)/.exec(run.stdout())?.[1]
  for (let i = 0; i < 4; i++) assert.equal((await get({ port })).body.split(' ')[0], last)
})

test('workers finish what they have and end when the master is killed', async (t) => {
  const run = handover(t, ['run', '-w', '2', fixture('crash-on-demand.mjs')])
  const port = Number(await run.line(PORT))
  await until('both workers are ready', () => [...run.stdout().matchAll(READY)].length === 2)
  const pids = [...run.stdout().matchAll(READY)].map((match) => Number(match[1]))
  assert.equal((await get({ port })).status, 200)
  run.child.kill('SIGKILL')
  await run.ended
  await until('the workers have ended', () => !pids.some(isAlive))
  await assert.rejects(connect({ port }), { code: 'ECONNREFUSED' })
})

test('without a terminal the live view is plain log lines', async (t) => {
  const run = handover(t, ['run', '--live', '-w', '2', `${root}examples/http-server.mjs`])
  const port = Number(await run.line(PORT))
  const open = await connect({ port })
  await until('a status line', () => /worker \d+ {2}pid \d+ {2}ready {4}open +1/.test(run.stdout()))
  open.destroy()
  assert.ok(!run.stdout().includes('\u001b['), 'no escape codes')
})

test('a log reader that goes away does not take the service with it', async (t) => {
  const run = handover(t, ['run', fixture('crash-on-demand.mjs')])
  const port = Number(await run.line(PORT))
  await run.line(/worker 1 ready/)
  run.child.stdout?.destroy()
  await assert.rejects(get({ port }, '/crash'))
  assert.equal((await get({ port })).status, 200)
  run.child.kill('SIGTERM')
  assert.equal(await run.ended, 0)
})

test('a worker that ends because a later port is taken says which', async (t) => {
  const other = net.createServer().listen(0, '127.0.0.1')
  t.after(() => other.close())
  await new Promise((resolve) => other.once('listening', resolve))
  const taken = (other.address() as net.AddressInfo).port
  const run = handover(t, ['run', fixture('listens-twice.mjs')], { env: { ...process.env, SECOND: String(taken) } })
  const port = Number(await run.line(PORT))
  await run.line(/worker 1 ready/)
  await get({ port }, '/second').catch(() => {})
  await run.line(
    new RegExp(`worker 1 ended \\(exit code 1; it could not listen: EADDRINUSE.*127\\.0\\.0\\.1:${taken}\\)`),
  )
})
