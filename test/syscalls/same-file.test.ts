import assert from 'node:assert/strict'
import { openSync } from 'node:fs'
import test from 'node:test'
import { errnoOf } from '../../src/errors.js'
import { close, dup, sameFile } from '../../src/syscalls/descriptor.js'
import { noLeak } from '../support/descriptors.js'
import { fakeKernel } from '../support/fake-kernel.js'

const isLinux = process.platform === 'linux'

test('copies of a descriptor are one, what was opened apart is not, though it is one file', { skip: !isLinux }, (t) => {
  noLeak(t)
  const [one, other] = [openSync('/dev/null', 'r'), openSync('/dev/null', 'r')]
  const copy = dup(one)
  assert.equal(sameFile(one, copy), true)
  assert.equal(sameFile(one, one), true)
  assert.equal(sameFile(one, other), false)
  for (const each of [one, other, copy]) close(each)
  assert.throws(() => sameFile(one, other), { code: 'EBADF', syscall: 'kcmp' })
})

test('where the system does not tell copies from others, the file decides', (t) => {
  noLeak(t)
  const [one, other] = [openSync('/dev/null', 'r'), openSync('/tmp', 'r')]
  const copy = dup(one)
  for (const code of ['ENOSYS', 'EPERM']) {
    fakeKernel(t, { kcmp: () => errnoOf(code) })
    assert.equal(sameFile(one, copy), true)
    assert.equal(sameFile(one, other), false)
  }
  for (const each of [one, other, copy]) close(each)
})
