import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { pathToFileURL } from 'node:url'
import { errnoOf, type SyscallError } from '../../src/errors.js'
import { FOLDER_LOCK_MAX } from '../../src/limits.js'
import { lockFolder } from '../../src/syscalls/lock.js'
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
      lockFolder(${JSON.stringify(folder)}, () => {
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

test('what another process does under the lock keeps this one out, for a second', async (t) => {
  noLeak(t)
  const folder = scratch(t)
  const { pid, ended } = await holder(t, folder)
  const start = performance.now()
  let ran = false
  assert.throws(
    () => {
      lockFolder(folder, () => {
        ran = true
      })
    },
    (error: SyscallError) => {
      assert.deepEqual([error.code, error.syscall, error.address], ['EAGAIN', 'flock', folder])
      assert.match(error.hint, /^Another process keeps the folder locked/)
      assert.match(error.stack?.split('\n')[1] ?? '', /lock\.test/)
      return true
    },
  )
  assert.ok(performance.now() - start >= FOLDER_LOCK_MAX)
  assert.ok(!ran)
  assert.equal(
    lockFolder(scratch(t), () => 'another folder'),
    'another folder',
  )
  process.kill(pid, 'SIGKILL')
  await ended
  assert.equal(
    lockFolder(folder, () => 'now'),
    'now',
  )
})

test('a lock that is released within the second is waited for, and the dead leave none', async (t) => {
  noLeak(t)
  const folder = scratch(t)
  const { pid, ended } = await holder(t, folder)
  let tries = 0
  fakeKernel(t, {
    lock(real, descriptor) {
      const done = real(descriptor)
      if (tries++ === 0) {
        assert.equal(done, errnoOf('EAGAIN'))
        process.kill(pid, 'SIGKILL')
      }
      return done
    },
  })
  assert.equal(
    lockFolder(folder, () => 'mine'),
    'mine',
  )
  assert.ok(tries > 1)
  await ended
})

test('what several processes do under one lock never overlaps', async (t) => {
  noLeak(t)
  const folder = scratch(t)
  const count = join(folder, 'count')
  writeFileSync(count, '0')
  const script = program(
    t,
    `import { readFileSync, writeFileSync } from 'node:fs'
    import { lockFolder } from ${lockModule}
    const count = ${JSON.stringify(count)}
    for (let i = 0; i < 50; i++) {
      lockFolder(${JSON.stringify(folder)}, () => writeFileSync(count, String(Number(readFileSync(count, 'utf8')) + 1)))
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
      lockFolder(folder, () => {
        const held = inFolder(folder)
        assert.equal(held.length, 1)
        assert.ok(isCloseOnExec(held[0] as number))
        throw failure
      }),
    (error) => error === failure,
  )
  assert.deepEqual(inFolder(folder), [])
  assert.equal(
    lockFolder(folder, () => 'again'),
    'again',
  )
})

test('where nothing can be locked the work is done all the same', (t) => {
  noLeak(t)
  const folder = scratch(t)
  const file = join(folder, 'file')
  writeFileSync(file, '')
  for (const path of [join(folder, 'missing'), file])
    assert.equal(
      lockFolder(path, () => 'done'),
      'done',
    )
  fakeKernel(t, { lock: () => errnoOf('ENOTSUP') })
  assert.equal(
    lockFolder(folder, () => 'done'),
    'done',
  )
})
