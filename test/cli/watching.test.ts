/** `handover status`, `top` and `logs`. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import test from 'node:test'
import { connect, get } from '../support/client.js'
import { command, controlFolder, handover } from '../support/command.js'
import { bin, fixture } from '../support/paths.js'
import { done, objects, started } from '../support/steered.js'

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
  assert.match(out, /^worker +gen +pid +state +open +total +\/s +unclaimed( +claims)? +restarts/m)
  assert.equal(out.match(/^ +[12] +1 +\d+ +ready /gm)?.length, 2)
  const [status] = objects((await done(t, 'status', '--json')).out) as [Record<string, unknown>]
  assert.equal(status.pid, run.child.pid)
  assert.equal((status.workers as object[]).length, 2)
  assert.equal(status.dispatched, 2)
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
  while (!heard) await get({ port }, '/say')
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
  const env = { ...process.env, HANDOVER_CONTROL_DIR: controlFolder(t), TERM: 'xterm' }
  const shown = command(t, 'script', ['-qec', `stty rows 40 cols 120; ${process.execPath} ${bin} top`, '/dev/null'], {
    env,
    input: '',
  })
  await shown.line(/generation 1 serves/)
  shown.child.stdin?.write('q')
  assert.equal(await shown.ended, 0)
})
