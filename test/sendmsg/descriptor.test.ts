/** Descriptors have one owner and are closed once; one that is forgotten is told. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { closeSync, fstatSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { inspect } from 'node:util'
import * as api from '../../src/sendmsg/index.js'
import { noLeak, openDescriptors } from '../support/descriptors.js'
import { root } from '../support/paths.js'
import { owned } from '../support/socket-kinds.js'

const byte = Buffer.from('x')
const isOpen = (fd: number): boolean => openDescriptors().has(fd)

test('closing closes once, and never what has the number later', (t) => {
  noLeak(t)
  const [left, right] = api.socketpair()
  owned(t, right)
  const { fd } = left
  assert.ok(isOpen(fd))
  left.close()
  assert.ok(!isOpen(fd) && left.fd === -1)
  const next = owned(t, api.dup(right))
  assert.equal(next.fd, fd, 'the lowest free number')
  left.close()
  api.close(left)
  left[Symbol.dispose]()
  assert.ok(isOpen(fd))
})

test('a released number is its new owner’s, and the old one has none', (t) => {
  noLeak(t)
  const descriptor = api.socket(api.AF_UNIX)
  const fd = descriptor.release()
  assert.ok(isOpen(fd) && descriptor.fd === -1)
  descriptor.close()
  assert.ok(isOpen(fd))
  assert.throws(() => descriptor.release(), { code: 'EBADF', syscall: 'release' })
  assert.throws(() => api.recvmsg(descriptor), { code: 'EBADF', syscall: 'recvmsg' })
  assert.throws(() => api.dup(descriptor), { code: 'EBADF', syscall: 'fcntl' })
  assert.throws(() => api.rights([descriptor]), { code: 'EBADF' })
  new api.Descriptor(fd).close()
  assert.ok(!isOpen(fd))
})

test('the end of a block closes what it uses, also when it is left by an error', (t) => {
  noLeak(t)
  const numbers: number[] = []
  assert.throws(() => {
    using left = api.socket(api.AF_UNIX)
    using right = api.socket(api.AF_UNIX)
    numbers.push(left.fd, right.fd)
    throw new Error('mine')
  }, /^Error: mine$/)
  assert.ok(numbers.length === 2 && !numbers.some(isOpen))
})

test('a number that somebody else has closed is EBADF, once', (t) => {
  noLeak(t)
  const descriptor = api.socket(api.AF_UNIX)
  const { fd } = descriptor
  closeSync(fd)
  assert.throws(() => descriptor.close(), { code: 'EBADF', syscall: 'close' })
  descriptor.close()
  assert.throws(() => api.close(fd), { code: 'EBADF', syscall: 'close' })
})

test('a duplicate is another number of the same file, with an owner of its own', (t) => {
  noLeak(t)
  const [left, right] = api.socketpair().map((end) => owned(t, end)) as [api.Descriptor, api.Descriptor]
  const copy = owned(t, api.dup(left))
  assert.notEqual(copy.fd, left.fd)
  assert.equal(fstatSync(copy.fd).ino, fstatSync(left.fd).ino)
  left.close()
  assert.equal(api.sendmsg(copy, byte), 1)
  assert.equal(api.recvmsg(right)?.data.length, 1)
  const number = api.dup(copy.fd)
  api.close(number.release())
  copy.close()
  assert.equal(api.recvmsg(right)?.data.length, 0, 'the last copy is closed')
})

test('anything that has a number in `fd` can be used, and stays its owner’s', async (t) => {
  noLeak(t)
  const [left, right] = api.socketpair().map((end) => owned(t, end)) as [api.Descriptor, api.Descriptor]
  assert.equal(api.sendmsg({ fd: left.fd }, byte), 1)
  assert.equal(api.recvmsg({ fd: right.fd })?.data.length, 1)
  const file = await open(join(root, 'package.json'))
  t.after(() => file.close())
  assert.equal(api.sendmsg(left, byte, [api.rights([file, { fd: right.fd }])]), 1)
  const [copy, other] = api.takeDescriptors(api.recvmsg(right, 1, 64)?.ancillary ?? [])
  assert.equal(fstatSync(copy?.fd as number).ino, fstatSync(file.fd).ino)
  copy?.close()
  other?.close()
})

/** Runs a module with the API as `api`, and returns what it wrote as JSON. */
function inChild(code: string): unknown {
  const module = JSON.stringify(join(root, 'dist/src/sendmsg/index.js'))
  const program = `import * as api from ${module}\n${code}`
  const args = ['--expose-gc', '--no-warnings', '--input-type=module', '-e', program]
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 20_000 })
  assert.equal(status, 0, stderr)
  return JSON.parse(stdout)
}

const collecting = `
  const warnings = []
  process.on('warning', ({ name, code, message, detail }) => warnings.push({ name, code, message, detail }))
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  const collected = async (count) => { for (let i = 0; i < 500 && warnings.length < count; i++) { gc(); await turn() } }`

test('a descriptor that is collected while open is told with its number, and stays open', () => {
  const told = inChild(`${collecting}
    const fd = (() => api.socket(api.AF_UNIX).fd)()
    ;(() => { api.socket(api.AF_UNIX).close(); const kept = api.socket(api.AF_UNIX); api.close(kept.release()) })()
    await collected(1)
    const open = api.getSocketFamily(fd) === api.AF_UNIX
    for (let i = 0; i < 20; i++) { gc(); await turn() }
    console.log(JSON.stringify({ warnings, fd, open }))`) as {
    warnings: Record<string, string>[]
    fd: number
    open: boolean
  }
  assert.equal(told.warnings.length, 1, 'none for what was closed or released')
  const [{ name, code, message, detail }] = told.warnings as [Record<string, string>]
  assert.deepEqual([name, code, told.open], ['DescriptorLeakWarning', 'HANDOVER_DESCRIPTOR_LEAK', true])
  assert.match(message ?? '', new RegExp(`^descriptor ${told.fd} was never closed`))
  assert.match(detail ?? '', /traceLeaks/)
})

test('asked to trace, the warning says where the descriptor was made', () => {
  const [warning] = inChild(`${collecting}
    api.Descriptor.traceLeaks = true
    function makesAndForgets() { api.socket(api.AF_UNIX) }
    makesAndForgets()
    await collected(1)
    console.log(JSON.stringify(warnings))`) as Record<string, string>[]
  assert.match(warning?.detail ?? '', /at makesAndForgets/)
})

test('of many received descriptors one that is closed already keeps no other open', (t) => {
  noLeak(t)
  const all = Array.from({ length: 300 }, () => api.socket(api.AF_UNIX).release())
  api.close(all[0] as number)
  const tuples = [all.slice(0, 150), all.slice(150)].map((some) => api.rights(some))
  assert.throws(() => api.closeDescriptors(tuples), { code: 'EBADF', syscall: 'close' })
  assert.ok(!all.some(isOpen))
})

test('a descriptor shows its number', () => {
  const descriptor = api.socket(api.AF_UNIX)
  assert.equal(inspect({ descriptor }), `{ descriptor: Descriptor { fd: ${descriptor.fd} } }`)
  descriptor.close()
  assert.equal(inspect(descriptor), 'Descriptor { fd: -1 }')
})
