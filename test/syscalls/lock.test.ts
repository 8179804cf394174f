import assert from 'node:assert/strict'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { pathToFileURL } from 'node:url'
import { errnoOf } from '../../src/errors.js'
import { FOLDER_LOCK_WAIT } from '../../src/limits.js'
import { type Locked, lockFolder } from '../../src/syscalls/lock.js'
import { isCloseOnExec, noLeak, openDescriptors } from '../support/descriptors.js'
import { fakeKernel } from '../support/fake-kernel.js'
import { root, scratch } from '../support/paths.js'
import { heard, type Plain, plainly, program } from '../support/programs.js'

const lockModule = JSON.stringify(pathToFileURL(join(root, 'dist/src/syscalls/lock.js')).href)

/** A process that has the lock of a folder until it is killed. */
async function holder(t: TestContext, folder: string): Promise<Plain & { pid: number }> {
  const child = plainly(
    t,
    program(
      t,
      `import { lockFolder } from ${lockModule}
      lockFolder(${JSON.stringify(folder)}, 0, () => {
        say('locked', process.pid)
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
      })`,
    ),
  )
  const [pid] = (await heard<number>(child, 'locked')) as [number]
  return { ...child, pid }
}

const inFolder = (folder: string): number[] =>
  [...openDescriptors()].filter(([, target]) => target === folder).map(([number]) => number)

const how = (folder: string, wait = 0): Locked => lockFolder(folder, wait, (_, locked) => locked)

/** What it says, and the milliseconds that took. */
function timed(folder: string, wait: number): [Locked, number] {
  const start = performance.now()
  return [how(folder, wait), performance.now() - start]
}

test('whoever keeps a folder locked keeps nobody waiting: the work is done at once, and told of it', async (t) => {
  noLeak(t)
  const folder = scratch(t)
  chmodSync(folder, 0o755)
  const { pid, ended } = await holder(t, folder)
  for (const wait of [0, FOLDER_LOCK_WAIT]) {
    const [said, milliseconds] = timed(folder, wait)
    assert.equal(said, 'held')
    assert.ok(milliseconds >= wait && milliseconds < wait + 100, `${milliseconds}`)
  }
  assert.equal(how(scratch(t)), 'locked', 'another folder')
  process.kill(pid, 'SIGKILL')
  await ended
  assert.equal(how(folder), 'locked')
})

test('a folder that others cannot lock is waited for in any case', async (t) => {
  noLeak(t)
  const folder = scratch(t)
  const { pid, ended } = await holder(t, folder)
  const [said, milliseconds] = timed(folder, 0)
  assert.equal(said, 'held')
  assert.ok(milliseconds >= FOLDER_LOCK_WAIT)
  let tries = 0
  fakeKernel(t, { lock: (real, descriptor) => (tries++ === 0 ? errnoOf('EAGAIN') : real(descriptor)) })
  process.kill(pid, 'SIGKILL')
  await ended
  assert.equal(how(folder), 'locked')
  assert.equal(tries, 2)
})

test('what several processes do under one lock never overlaps', async (t) => {
  noLeak(t)
  const folder = scratch(t)
  const count = join(folder, 'count')
  writeFileSync(count, '0')
  const script = program(
    t,
    `import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
    import { lockFolder } from ${lockModule}
    const count = ${JSON.stringify(count)}
    for (let i = 0; i < 50; i++) {
      const add = () => writeFileSync(count, String(Number(readFileSync(count, 'utf8')) + 1))
      while (lockFolder(${JSON.stringify(folder)}, 0, (_, locked) => locked === 'held' || add()) === true) {}
    }`,
  )
  const children = Array.from({ length: 4 }, () => plainly(t, script))
  for (const { ended, lines } of children) assert.equal(await ended, 0, lines.join('\n'))
  assert.equal(readFileSync(count, 'utf8'), '200')
})

test('the lock is held by a descriptor that no child inherits, and is gone however the work ends', (t) => {
  noLeak(t)
  const folder = scratch(t)
  const failure = new Error('in the middle')
  assert.throws(
    () =>
      lockFolder(folder, 0, () => {
        const held = inFolder(folder)
        assert.equal(held.length, 1)
        assert.ok(isCloseOnExec(held[0] as number))
        throw failure
      }),
    (error) => error === failure,
  )
  assert.deepEqual(inFolder(folder), [])
  assert.equal(how(folder), 'locked')
})

test('where nothing can be locked the work is done all the same', (t) => {
  noLeak(t)
  const folder = scratch(t)
  const file = join(folder, 'file')
  writeFileSync(file, '')
  for (const path of [join(folder, 'missing'), file])
    assert.deepEqual(
      lockFolder(path, 0, (...given) => given),
      [null, 'free'],
    )
  fakeKernel(t, { lock: () => errnoOf('ENOTSUP') })
  assert.equal(how(folder), 'free')
})
