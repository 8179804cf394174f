import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import {
  dispositionOf,
  errnoOf,
  HandoverError,
  handoverErrorCodes,
  SyscallError,
  systemHints,
} from '../../src/errors.js'
import { close, dup } from '../../src/syscalls/descriptor.js'
import { socketpair } from '../../src/syscalls/socket.js'
import { isCloseOnExec, noLeak } from '../support/descriptors.js'
import { root } from '../support/paths.js'

test('a system error has the shape of Node’s own', async () => {
  const theirs = await new Promise<NodeJS.ErrnoException>((resolve) =>
    net.connect({ path: '/no/such/socket' }).on('error', resolve),
  )
  const ours = new SyscallError(errnoOf('ENOENT'), 'connect', { address: '/no/such/socket' })
  for (const field of ['code', 'errno', 'syscall', 'address'] as const) {
    assert.equal(ours[field], (theirs as unknown as SyscallError)[field], field)
  }
  assert.equal(ours.message, 'ENOENT: no such file or directory, connect /no/such/socket')
  assert.ok(ours.hint.length > 0)
})

test('numbers that Node cannot name have their name, and unknown ones keep their number', () => {
  if (process.platform === 'linux') assert.equal(new SyscallError(-109, 'sendmsg').code, 'ETOOMANYREFS')
  const unknown = new SyscallError(-523, 'sendmsg')
  assert.deepEqual([unknown.code, unknown.errno], ['UNKNOWN_ERRNO_523', -523])
  assert.equal(dispositionOf(-523), 'close')
})

test('every protocol error says what to do', () => {
  for (const code of handoverErrorCodes) assert.match(new HandoverError(code, 'x').hint, /^\S.*\.$/)
})

test('an error starts at the call, not inside the library', () => {
  assert.throws(
    () => close(99_999),
    (error: SyscallError) => {
      assert.equal(error.code, 'EBADF')
      assert.match(error.stack?.split('\n')[1] ?? '', /errors\.test/)
      return true
    },
  )
})

test('what is made is close-on-exec', (t) => {
  noLeak(t)
  const pair = socketpair()
  const copy = dup(pair[0])
  for (const descriptor of [...pair, copy]) assert.ok(isCloseOnExec(descriptor))
  for (const descriptor of [...pair, copy]) close(descriptor)
})

test('the page on errors has exactly the hints of the code', () => {
  const page = readFileSync(join(root, 'docs/errors.md'), 'utf8')
  const rows = [...page.matchAll(/^\| `(E[A-Z]+)`(?: in (\w+))? +\| (.*?) +\|$/gm)]
  const documented = rows.map(([, code, call, hint]) => [call === undefined ? code : `${code} ${call}`, hint])
  assert.deepEqual(documented, systemHints)
})

test('the name of an error that does not exist is a bug of the caller', () => {
  assert.throws(() => errnoOf('ENOSUCH'), { name: 'TypeError', message: /^code: .*ENOSUCH/ })
})

test('an error without a place has no fields for one', () => {
  assert.deepEqual(Object.keys(new SyscallError(errnoOf('EBADF'), 'close')), [
    'name',
    'code',
    'errno',
    'syscall',
    'hint',
  ])
})
