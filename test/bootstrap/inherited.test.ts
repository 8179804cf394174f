/** Channels by inheritance: any program that is started, in any language. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { openSync, readFileSync } from 'node:fs'
import test, { type TestContext } from 'node:test'
import { pathToFileURL } from 'node:url'
import { type Channel, connect, inherited, type SpawnWithChannelOptions, spawn } from '../../src/index.js'
import { close } from '../../src/syscalls/descriptor.js'
import { FrameType } from '../../src/wire/frame.js'
import { isAlive } from '../support/command.js'
import { noLeak } from '../support/descriptors.js'
import { fixture, root, scratch } from '../support/paths.js'
import { error, type Peering, peerArguments, STRANGER, soon, watched } from '../support/peers.js'
import { program, sanitizers } from '../support/programs.js'
import { interpreter } from '../support/python.js'

const PIPES = ['pipe', 'pipe', 'pipe'] as const
const VARIABLE = 'HANDOVER_CHANNEL'
const INDEX = JSON.stringify(pathToFileURL(`${root}dist/src/index.js`).href)

/** A child that is a peer of ours. */
function started(
  t: TestContext,
  options: SpawnWithChannelOptions & { peer?: object; how?: Peering } = {},
): ReturnType<typeof watched> & { channel: Channel } {
  const { peer = {}, how = 'inherited', ...given } = options
  const { child, channel } = spawn(process.execPath, peerArguments(how, 'inherited:', peer), { stdio: PIPES, ...given })
  t.after(() => channel.close())
  return { ...watched(t, child), channel }
}

/** What a program of a few lines prints. */
async function printed(t: TestContext, child: ChildProcess): Promise<string> {
  const one = watched(t, child)
  assert.equal(await one.ended, 0, one.lines.join('\n'))
  return one.lines.join('\n')
}

test('messages go both ways between a program and the one that started it', async (t) => {
  noLeak(t)
  const { channel, hears, order, pid } = started(t)
  await channel.opened
  assert.equal(channel.peer?.pid, pid)
  assert.equal((await hears<{ pid: number }>('open')).pid, process.pid)
  await channel.send({ from: 'parent' })
  assert.deepEqual(await hears('message'), { from: 'parent' })
  order({ send: { from: 'child' } })
  assert.deepEqual((await channel.receive())?.message, { from: 'child' })
  order({ close: true })
  assert.equal(await channel.receive(), null)
})

test('the child finds it by the address inherited: too', async (t) => {
  noLeak(t)
  const { channel, pid } = started(t, { how: 'connect' })
  await channel.opened
  assert.equal(channel.peer?.pid, pid)
})

/** Starts a peer through a shell that stays, and has the descriptor too. */
async function throughShell(t: TestContext): Promise<ReturnType<typeof started>> {
  const line = [process.execPath, ...peerArguments('inherited')].map((each) => `'${each}'`).join(' ')
  const { child, channel } = spawn('sh', ['-c', `${line}; exit 7`], { stdio: PIPES })
  t.after(() => channel.close())
  t.after(() => channel.peer && isAlive(channel.peer.pid) && process.kill(channel.peer.pid, 'SIGKILL'))
  const shell = watched(t, child)
  await channel.opened
  return { ...shell, channel }
}

test('through a shell the one who speaks is known, not the shell', async (t) => {
  noLeak(t)
  const { channel, pid, hears, ended } = await throughShell(t)
  assert.notEqual(channel.peer?.pid, pid)
  assert.equal((await hears<{ pid: number }>('open')).pid, process.pid)
  await channel.send('through the shell')
  assert.equal(await hears('message'), 'through the shell')
  process.kill(channel.peer?.pid as number)
  assert.equal(await ended, 7)
  assert.equal(await channel.receive(), null)
})

test('that the program has closed the channel is known at once, though the shell has the descriptor', async (t) => {
  noLeak(t)
  const { channel, order } = await throughShell(t)
  order({ close: true })
  assert.equal(await soon(channel.receive()), null)
})

test('another user in the child is known by both its numbers', { skip: process.getuid?.() !== 0 }, async (t) => {
  noLeak(t)
  const { channel, pid, hears } = started(t, { uid: STRANGER, gid: STRANGER + 1 })
  await channel.opened
  const { pid: theirs, uid, gid } = channel.peer ?? {}
  assert.deepEqual({ theirs, uid, gid }, { theirs: pid, uid: STRANGER, gid: STRANGER + 1 })
  assert.equal((await hears<{ uid: number }>('open')).uid, 0)
})

test('a program in another language speaks by hand', { skip: interpreter('cpython').skip }, async (t) => {
  noLeak(t)
  const python = interpreter('cpython').executable as string
  const script = fixture('channel-by-hand.py')
  const { child, channel } = spawn(python, [script, String(FrameType.offer)], { stdio: PIPES })
  t.after(() => channel.close())
  const one = watched(t, child)
  const delivery = await channel.receive()
  assert.deepEqual(delivery, { message: { from: 'python', pid: child.pid }, things: [] })
  assert.equal(channel.peer?.pid, child.pid)
  assert.deepEqual(await one.hears('answer'), [FrameType.verdict, 0, 0])
  assert.equal(await channel.receive(), null)
  assert.equal(await one.ended, 0)
})

test('the variable and the descriptor are for the child alone, not for what it starts', async (t) => {
  noLeak(t)
  const script = program(
    t,
    `import { inherited } from ${INDEX}
    import { spawnSync } from 'node:child_process'
    const before = process.env.${VARIABLE}
    const channel = inherited()
    const after = process.env.${VARIABLE}
    const { stdout } = spawnSync('sh', ['-c', 'echo "[$${VARIABLE}]"; ls /proc/self/fd'], { encoding: 'utf8' })
    let second
    try { inherited() } catch ({ code }) { second = code }
    channel.close()
    console.log(JSON.stringify({ before, after, stdout, second }))`,
  )
  const { child, channel } = spawn(process.execPath, [script], { stdio: PIPES })
  t.after(() => channel.close())
  const { before, after, stdout, second } = JSON.parse(await printed(t, child)) as Record<string, string>
  assert.deepEqual([before, after], ['3', undefined])
  const bare = spawnSync('sh', ['-c', 'echo "[]"; ls /proc/self/fd'], { encoding: 'utf8' }).stdout
  assert.equal(stdout, bare, 'descriptor 3 is that of ls')
  assert.equal(second, 'ERR_HANDOVER_NO_CHANNEL')
  assert.equal(process.env[VARIABLE], undefined)
})

test('without the variable, or with garbage in it, the error says so', async (t) => {
  noLeak(t)
  t.after(() => delete process.env[VARIABLE])
  delete process.env[VARIABLE]
  assert.throws(() => inherited(), error('ERR_HANDOVER_NO_CHANNEL', /HANDOVER_CHANNEL is not set/))
  await assert.rejects(connect('inherited:'), error('ERR_HANDOVER_NO_CHANNEL'))
  const file = openSync('/dev/null', 'r')
  t.after(() => close(file))
  for (const value of ['', 'x', '-1', '3.5', '0x3', '99999', '9999999999', ' 3', String(file)]) {
    process.env[VARIABLE] = value
    assert.throws(() => inherited(), error('ERR_HANDOVER_BAD_CHANNEL', new RegExp(`HANDOVER_CHANNEL=${value} `)))
  }
})

/** The process group of a process. */
function groupOf(pid = 0): number {
  const [, fields = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')
  return Number(fields.split(' ')[2])
}

test('the options of spawn are those of node:child_process', async (t) => {
  noLeak(t)
  const folder = scratch(t)
  const script = program(
    t,
    `import { inherited } from ${INDEX}
    const channel = inherited()
    await channel.send({ cwd: process.cwd(), own: process.env.OWN ?? null, home: process.env.HOME ?? null, name: process.argv0 })
    await channel.receive()`,
  )
  const { child, channel } = spawn(process.execPath, [script], {
    cwd: folder,
    env: { OWN: 'yes', ...sanitizers },
    argv0: 'another',
    detached: true,
    stdio: 'ignore',
  })
  t.after(() => channel.close())
  const one = watched(t, child)
  const { message } = (await channel.receive()) ?? {}
  assert.deepEqual(message, { cwd: folder, own: 'yes', home: null, name: 'another' })
  if (process.platform === 'linux') assert.equal(groupOf(child.pid), child.pid)
  channel.close()
  assert.equal(await one.ended, 0)
})

test('an aborted signal ends the child and with it the channel', async (t) => {
  noLeak(t)
  const stop = new AbortController()
  const { channel, child } = started(t, { signal: stop.signal })
  const failed = once(child, 'error')
  await channel.opened
  stop.abort()
  assert.equal(((await failed) as [{ name: string }])[0].name, 'AbortError')
  assert.equal(await channel.receive(), null)
})

test('there are three standard streams, whatever they are', async (t) => {
  noLeak(t)
  for (const stdio of [[], ['pipe'], ['pipe', 'pipe'], ['pipe', 'pipe', 'pipe', 'pipe']] as const) {
    assert.throws(() => spawn('true', [], { stdio: stdio as never }), {
      name: 'RangeError',
      message: `stdio: three streams, as the channel is the fourth, not ${stdio.length}`,
    })
  }
  for (const stdio of ['ignore', 'pipe', ['ignore', 'pipe', 'ignore'], ['ignore', 1, 2]] as const) {
    const { child, channel } = spawn('true', [], { stdio })
    for (const stream of [child.stdout, child.stderr]) stream?.resume()
    child.stdin?.end()
    t.after(() => channel.close())
    await once(child, 'close')
    assert.equal(await channel.receive(), null)
  }
})

test('a program that is not there is its error event and the end of the channel', async (t) => {
  noLeak(t)
  for (const options of [{}, { cwd: '/nowhere' }]) {
    const command = 'cwd' in options ? process.execPath : '/nowhere/program'
    const { child, channel } = spawn(command, [], { stdio: 'ignore', ...options })
    const [failure] = (await once(child, 'error')) as [NodeJS.ErrnoException]
    assert.equal(failure.code, 'ENOENT')
    await assert.rejects(channel.opened, error('ERR_HANDOVER_NO_HELLO'))
    assert.equal(await channel.receive(), null)
    assert.ok(channel.closed)
  }
})

test('a wrong argument throws and leaves nothing open', (t) => {
  noLeak(t)
  assert.throws(() => spawn(5 as never), TypeError)
  assert.throws(() => spawn('true', [], { cwd: 5 as never }), TypeError)
  assert.throws(() => spawn('true', 5 as never), TypeError)
  assert.throws(() => spawn('true', [], { stdio: ['ignore', 'nonsense' as never, 'ignore'] }), TypeError)
})

test('a program that ends without a word is the end of the channel', async (t) => {
  noLeak(t)
  const { child, channel } = spawn('true', [], { stdio: 'ignore' })
  const closed = once(channel, 'close')
  const waiting = channel.send('never taken')
  await assert.rejects(channel.opened, error('ERR_HANDOVER_NO_HELLO'))
  await assert.rejects(waiting, (thrown) => /^ERR_HANDOVER_(NO_HELLO|CLOSED)$/.test((thrown as { code: string }).code))
  assert.deepEqual(await closed, [null])
  if (child.exitCode === null) await once(child, 'exit')
})
