/** Which supervisor a command means, and where its socket is. */
import assert from 'node:assert/strict'
import { chownSync, readdirSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { controlFolder, handover } from '../support/command.js'
import { fixture, scratch } from '../support/paths.js'
import { STRANGER } from '../support/peers.js'
import { AT_ONCE, done, objects, started } from '../support/steered.js'

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
  assert.equal((await done(t, 'reload', '--name', 'two', ...AT_ONCE)).code, 0)
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
  assert.equal((await done(t, 'status', '--control', path, '--name', 'http-pid')).code, 0)
  const another = await done(t, 'status', '--control', path, '--name', 'shop')
  assert.equal(another.code, 100, 'a path and a name that do not go together')
  assert.match(another.err, /^handover --name shop: the supervisor at .*mine is "http-pid"; leave one .* out\n$/)
  assert.equal(another.out, '')
})

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

test('what listens at a path and is no supervisor is said to be none: exit code 111', async (t) => {
  const path = join(scratch(t), 'other')
  const other = net.createServer((socket) => socket.end('hello\n')).listen(path)
  t.after(() => other.close())
  const { code, err } = await done(t, 'status', '--control', path)
  assert.equal(code, 111)
  assert.equal(err.trim().split('\n').length, 1)
})
