/** Descriptors that a service manager passes: what it says is checked, and each has one owner. */
import assert from 'node:assert/strict'
import { chmodSync, closeSync, constants, fstatSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { activation } from '../../src/index.js'
import { AF_UNIX, bind, connect, type Descriptor, listen, socket, socketpair } from '../../src/sendmsg/index.js'
import { started } from '../support/activated.js'
import { noLeak, openDescriptors } from '../support/descriptors.js'
import { fakeKernel } from '../support/fake-kernel.js'
import { scratch } from '../support/paths.js'

/** `count` sockets, closed with the test. */
function sockets(t: TestContext, count: number): Descriptor[] {
  const made = Array.from({ length: Math.ceil(count / 2) }, () => socketpair()).flat()
  t.after(() => {
    for (const one of made) one.close()
  })
  return made.slice(0, count)
}

const identityOf = (fd: number): string => `${fstatSync(fd).dev}:${fstatSync(fd).ino}`

test('descriptors come in order, by index and by name', async (t) => {
  noLeak(t)
  const passed = sockets(t, 3)
  const { value } = await started(t, {
    descriptors: passed.map(({ fd }) => fd),
    names: 'http:admin:http',
    source: `const found = activation()
const shown = [...found].map(({ name, index, descriptor }) => [name, index, identityOf(descriptor.fd)])
const http = found.takeAll('http').map(({ fd }) => identityOf(fd))
say('result', { count: found.count, names: found.names, shown, http, admin: identityOf(found.take('admin').fd) })`,
  })
  const its = passed.map(({ fd }) => identityOf(fd))
  assert.deepEqual(value, {
    count: 3,
    names: ['http', 'admin', 'http'],
    shown: [
      ['http', 0, its[0]],
      ['admin', 1, its[1]],
      ['http', 2, its[2]],
    ],
    http: [its[0], its[2]],
    admin: its[1],
  })
})

test('without names every descriptor is called unknown', async (t) => {
  noLeak(t)
  const passed = sockets(t, 2)
  const { value } = await started(t, {
    descriptors: passed.map(({ fd }) => fd),
    source: `const found = activation()
say('result', [found.names, identityOf(found.take('unknown').fd), identityOf(found.take('unknown').fd)])`,
  })
  assert.deepEqual(value, [['unknown', 'unknown'], ...passed.map(({ fd }) => identityOf(fd))])
})

test('a descriptor is taken once, and the error says what is left', async (t) => {
  noLeak(t)
  const { value } = await started(t, {
    descriptors: sockets(t, 2).map(({ fd }) => fd),
    names: 'http:admin',
    source: `const found = activation()
const refused = (which) => { try { found.take(which) } catch (error) { return error.name + ' ' + error.message } }
const answers = []
found.take(0)
for (const which of ['http', 0, 2, 'other', undefined]) answers.push(refused(which))
answers.push(found.takeAll('http').length)
;[...found][0].descriptor.release() // who releases one has taken it
answers.push(refused('admin'), [...found].length, found.count)
say('result', answers)`,
  })
  assert.deepEqual(value, [
    'RangeError which: one of 1 (admin); not the string "http"',
    'RangeError which: one of 1 (admin); not 0',
    'RangeError which: one of 1 (admin); not 2',
    'RangeError which: one of 1 (admin); not the string "other"',
    'TypeError which: the index or the name of a descriptor, not undefined',
    0,
    'RangeError which: none, as all 2 are taken; not the string "admin"',
    0,
    2,
  ])
})

test('what nobody took is closed, what was taken stays open', async (t) => {
  noLeak(t)
  const { value } = await started(t, {
    descriptors: sockets(t, 3).map(({ fd }) => fd),
    source: `const isOpen = (fd) => { try { return fstatSync(fd).isSocket() } catch { return false } }
const found = activation()
const taken = found.take(1)
const before = [3, 4, 5].map(isOpen)
found.close()
found.close()
say('result', [before, [3, 4, 5].map(isOpen), taken.fd, [...found].length])`,
  })
  assert.deepEqual(value, [[true, true, true], [false, true, false], 4, 0])
})

test('the variables are removed and descriptors close-on-exec: no child takes them for its own', async (t) => {
  noLeak(t)
  const { value } = await started(t, {
    descriptors: sockets(t, 1).map(({ fd }) => fd),
    names: 'http',
    env: { LISTEN_PIDFDID: '12345' },
    source: `const found = activation()
const left = Object.keys(process.env).filter((name) => name.startsWith('LISTEN_'))
const child = spawnSync('ls', ['-l', '/proc/self/fd'], { encoding: 'utf8' }).stdout
say('result', [left, activation(), child.includes('socket:[' + fstatSync(found.take(0).fd).ino + ']')])`,
  })
  assert.deepEqual(value, [[], null, false])
})

test('sockets are non-blocking; a file keeps the mode that it shares with other copies', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'state')
  writeFileSync(path, 'kept')
  const file = openSync(path, 'r')
  t.after(() => closeSync(file))
  const { value } = await started(t, {
    descriptors: [file, ...sockets(t, 1).map(({ fd }) => fd), file],
    names: 'state:http:state',
    source: `const flags = (fd) => parseInt(/flags:\\s*(\\d+)/.exec(readFileSync('/proc/self/fdinfo/' + fd, 'utf8'))[1], 8)
const found = activation()
const modes = [...found].map(({ descriptor: { fd } }) => [flags(fd) & ${constants.O_NONBLOCK}, flags(fd) & 0o2000000])
const same = found.takeAll('state').map(({ fd }) => [fd === 3 || fd === 5, identityOf(fd)])
const files = readdirSync('/proc/self/fd').filter((fd) => { try { return identityOf(Number(fd)) === same[0][1] } catch { return false } })
say('result', [modes, same, files.length])`,
  })
  const its = identityOf(file)
  const cloexec = 0o2000000
  assert.deepEqual(value, [
    [
      [0, cloexec],
      [constants.O_NONBLOCK, cloexec],
      [0, cloexec],
    ],
    [
      [false, its],
      [false, its],
    ],
    2,
  ])
  const flags = Number.parseInt(/flags:\s*(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${file}`, 'utf8'))?.[1] ?? '', 8)
  assert.equal(flags & constants.O_NONBLOCK, 0)
})

test('nothing was passed: null, and the variables are gone', (t) => {
  noLeak(t)
  const pid = String(process.pid)
  for (const [what, environment] of [
    ['no variables', {}],
    ['no LISTEN_FDS', { LISTEN_PID: pid, LISTEN_FDNAMES: 'http' }],
    ['no LISTEN_PID', { LISTEN_FDS: '1' }],
    ['no descriptors', { LISTEN_PID: pid, LISTEN_FDS: '0' }],
    ["another's LISTEN_PID", { LISTEN_PID: String(process.ppid), LISTEN_FDS: '1', LISTEN_FDNAMES: 'http' }],
    ['not for us, whatever the rest says', { LISTEN_PID: '1', LISTEN_FDS: 'x', LISTEN_FDNAMES: 'a:b:c' }],
  ] as [string, NodeJS.ProcessEnv][]) {
    assert.equal(activation(environment), null, what)
    assert.deepEqual(environment, {}, what)
  }
})

test('malformed variables are an error that names one; the variables are gone, and what is open stays open', (t) => {
  noLeak(t)
  const LISTEN_PID = String(process.pid)
  const before = openDescriptors()
  for (const [environment, message] of [
    [{ LISTEN_PID: 'x', LISTEN_FDS: '1' }, 'LISTEN_PID=x is no whole number from 1'],
    [{ LISTEN_PID: '', LISTEN_FDS: '1' }, 'LISTEN_PID= is no whole number from 1'],
    [{ LISTEN_PID: '0', LISTEN_FDS: '1' }, 'LISTEN_PID=0 is no whole number from 1'],
    [{ LISTEN_PID, LISTEN_FDS: 'two' }, 'LISTEN_FDS=two is no whole number from 0'],
    [{ LISTEN_PID, LISTEN_FDS: '-1' }, 'LISTEN_FDS=-1 is no whole number from 0'],
    [{ LISTEN_PID, LISTEN_FDS: '1.5' }, 'LISTEN_FDS=1.5 is no whole number from 0'],
    [{ LISTEN_PID, LISTEN_FDS: ' 1' }, 'LISTEN_FDS= 1 is no whole number from 0'],
    [{ LISTEN_PID, LISTEN_FDS: '1', LISTEN_FDNAMES: 'a:b' }, 'LISTEN_FDNAMES=a:b has 2 names for 1 descriptors'],
    [{ LISTEN_PID, LISTEN_FDS: '3', LISTEN_FDNAMES: 'a:b' }, 'LISTEN_FDNAMES=a:b has 2 names for 3 descriptors'],
    [{ LISTEN_PID, LISTEN_FDS: '9999999999' }, /^LISTEN_FDS=9999999999 counts descriptor \d+, which is not open$/],
  ] as [NodeJS.ProcessEnv, string | RegExp][]) {
    assert.throws(() => activation(environment), { name: 'HandoverError', code: 'ERR_HANDOVER_ACTIVATION', message })
    assert.deepEqual(environment, {})
  }
  assert.deepEqual(openDescriptors(), before)
})

test('a descriptor that is not open is named, and those that are open stay so', async (t) => {
  noLeak(t)
  const { value } = await started(t, {
    descriptors: sockets(t, 2).map(({ fd }) => fd),
    count: 500,
    source: `let failed
try { activation() } catch (error) { failed = error.code + ' ' + error.message.replace(/descriptor \\d+/, 'descriptor n') }
const left = Object.keys(process.env).filter((name) => name.startsWith('LISTEN_'))
say('result', [failed, left, fstatSync(3).isSocket(), fstatSync(4).isSocket(), activation()])`,
  })
  const message = 'ERR_HANDOVER_ACTIVATION LISTEN_FDS=500 counts descriptor n, which is not open'
  assert.deepEqual(value, [message, [], true, true, null])
})

test('a file’s copy that cannot be had leaves everything as it was', (t) => {
  noLeak(t)
  const before = openDescriptors()
  const count = [...before.keys()]
    .filter((fd) => fd >= 3)
    .sort((a, b) => a - b)
    .findIndex((fd, i) => fd !== 3 + i)
  const kinds = Array.from({ length: count }, (_, i) => fstatSync(3 + i).isSocket())
  assert.ok(kinds.filter((isSocket) => !isSocket).length >= 2, 'the event loop has some that are no sockets')
  let copies = 0
  fakeKernel(t, { dup: (real, fd) => (copies++ === 0 ? real(fd) : -24), setCloseOnExec: () => assert.fail() })
  const environment = { LISTEN_PID: String(process.pid), LISTEN_FDS: String(count) }
  assert.throws(() => activation(environment), { code: 'EMFILE' })
  assert.deepEqual(openDescriptors(), before)
})

test('a UNIX listener is adopted as it is: neither its mode nor its path changes', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const listener = socket(AF_UNIX)
  t.after(() => listener.close())
  bind(listener, { path })
  listen(listener)
  chmodSync(path, 0o640)
  const { value } = await started(t, {
    descriptors: [listener.fd],
    source: `import { createServer } from 'node:net'
const server = createServer().listen({ fd: activation().take(0).release() }, () => {
  server.close(() => say('result', 'closed'))
})`,
  })
  assert.equal(value, 'closed')
  assert.equal(statSync(path).mode & 0o777, 0o640)
  const client = socket(AF_UNIX)
  t.after(() => client.close())
  assert.equal(connect(client, { path }), true, 'the manager’s copy still takes clients')
})
