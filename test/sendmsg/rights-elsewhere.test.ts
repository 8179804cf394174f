/** Descriptors at their destination, another process too: what a copy shares, and that no stray one is left. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, openSync, readFileSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import {
  AF_UNIX,
  accept,
  bind,
  connect,
  Descriptor,
  dup,
  getsockname,
  getsockopt,
  listen,
  MSG_CTRUNC,
  rights,
  SOCK_STREAM,
  sendmsg,
  setsockopt,
  takeDescriptors,
} from '../../src/sendmsg/index.js'
import { isAlive } from '../support/command.js'
import {
  arrival,
  assertGone,
  madeSocket,
  marked,
  pass,
  receive,
  tcpPair,
  unixKinds,
  unixPair,
} from '../support/control.js'
import { isCloseOnExec, noLeak } from '../support/descriptors.js'
import { fixture, scratch } from '../support/paths.js'
import { until } from '../support/wait.js'

/** Pipes, by way of named ones: Node's own child pipes are sockets. Closed with the test. */
function pipes(t: TestContext, count: number): [read: Descriptor, write: Descriptor][] {
  const folder = scratch(t)
  const paths = Array.from({ length: count }, (_, i) => join(folder, `pipe${i}`))
  assert.equal(spawnSync('mkfifo', paths).status, 0)
  return paths.map((path) => {
    const ends = [constants.O_RDONLY | constants.O_NONBLOCK, constants.O_WRONLY].map(
      (flags) => new Descriptor(openSync(path, flags)),
    ) as [Descriptor, Descriptor]
    t.after(() => {
      for (const end of ends) end.close()
    })
    return ends
  })
}

/** What a pipe has: text, '' at its end, null while there may come more. */
function read(pipe: Descriptor): string | null {
  const room = Buffer.alloc(1000)
  try {
    return room.toString('utf8', 0, readSync(pipe.fd, room))
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN')
    return null
  }
}

for (const { kind, type } of unixKinds.filter((each) => each.kind !== 'datagram')) {
  test(`a pipe's write end sent to a child process: it writes and closes, we read the bytes and then the end, over a ${kind} socket`, async (t) => {
    noLeak(t)
    const [ours, theirs] = unixPair(t, type)
    const [[readEnd, writeEnd] = []] = pipes(t, 1)
    assert.ok(readEnd && writeEnd)
    const child = spawn(process.execPath, [fixture('rights-writer.mjs')], {
      stdio: ['ignore', 'inherit', 'inherit', theirs.fd],
    })
    const ended = once(child, 'exit')
    t.after(async () => {
      child.kill('SIGKILL')
      await ended
    })
    theirs.close()
    assert.equal(sendmsg(ours, Buffer.from('hello'), [rights([writeEnd])]), 5)
    writeEnd.close()
    let text = ''
    await until('the end of the pipe', () => {
      const more = read(readEnd)
      text += more ?? ''
      return more === '' && text !== ''
    })
    assert.equal(text, `hello from ${child.pid}`)
    assert.ok(isAlive(child.pid as number), 'it is the close that ended the pipe, not the end of the process')
    ours.close()
    assert.deepEqual(await ended, [0, null])
  })
}

for (const { kind, type } of unixKinds) {
  test(`ten pipes, both ends of each, in one message over a ${kind} socket: all work, each with its own other end`, (t) => {
    noLeak(t)
    const [from, to] = unixPair(t, type)
    const sent = pipes(t, 10).flat()
    assert.equal(sendmsg(from, Buffer.from('x'), [rights(sent)]), 1)
    for (const end of sent) end.close()
    const received = takeDescriptors(receive(to).ancillary)
    assert.equal(received.length, 20)
    const pairs = received.flatMap((end, i) => (i % 2 === 0 ? [[end, received[i + 1] as Descriptor] as const] : []))
    for (const [i, [, writeEnd]] of pairs.entries()) {
      writeSync(writeEnd.fd, `pipe ${i}`)
      writeEnd.close()
    }
    for (const [i, [readEnd]] of pairs.entries()) {
      assert.equal(read(readEnd), `pipe ${i}`)
      assert.equal(read(readEnd), '')
      readEnd.close()
    }
  })
}

test('a plain read of bytes that bring a descriptor closes it', (t) => {
  noLeak(t)
  const [from, to] = unixPair(t)
  const things = marked(t, 2)
  pass(from, 'bytes', things)
  const room = Buffer.alloc(10)
  assert.equal(readSync(to.fd, room), 5)
  assertGone(things)
})

test('a copy shares its socket’s options and O_NONBLOCK with the original, and not close-on-exec', (t) => {
  noLeak(t)
  const [from, to] = unixPair(t)
  const [passed] = unixPair(t)
  assert.equal(sendmsg(from, Buffer.from('x'), [rights([passed])]), 1)
  const [copy] = takeDescriptors(receive(to).ancillary)
  assert.ok(copy)
  t.after(() => copy.close())
  assert.equal(getsockopt(passed, 'SO_PASSCRED'), false)
  setsockopt(copy, 'SO_PASSCRED', true)
  assert.equal(getsockopt(passed, 'SO_PASSCRED'), true)
  const statusOf = ({ fd }: Descriptor): number =>
    Number.parseInt(/^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '', 8)
  for (const each of [passed, copy]) assert.equal(statusOf(each) & constants.O_NONBLOCK, constants.O_NONBLOCK)
  const child = spawnSync(process.execPath, ['-e', ''], { stdio: ['ignore', 'ignore', 'inherit', copy.fd] })
  assert.equal(child.status, 0)
  for (const each of [passed, copy]) assert.ok(isCloseOnExec(each.fd))
})

test('every descriptor that is made here is close-on-exec', async (t) => {
  noLeak(t)
  const listener = madeSocket(t, AF_UNIX, SOCK_STREAM)
  bind(listener, { path: '' })
  listen(listener)
  const client = madeSocket(t, AF_UNIX, SOCK_STREAM)
  connect(client, getsockname(listener) as { path: string; family: 'unix' })
  const accepted = accept(listener)?.descriptor
  assert.ok(accepted)
  const copy = dup(0)
  const made = [listener, client, accepted, copy, ...unixPair(t), ...(await tcpPair(t, 4))]
  assert.deepEqual(
    made.map(({ fd }) => isCloseOnExec(fd)),
    made.map(() => true),
  )
  accepted.close()
  copy.close()
})

test('descriptors over TCP are refused, as the kernel would drop them silently, and the socket is as it was', async (t) => {
  noLeak(t)
  const [from, to] = await tcpPair(t, 4)
  const [thing] = marked(t)
  assert.ok(thing)
  assert.throws(() => sendmsg(from, Buffer.from('x'), [rights([thing.near])]), /^RangeError: socket: .*AF_UNIX/)
  thing.near.close()
  assertGone([thing])
  assert.equal(sendmsg(from, Buffer.from('y'), [rights([])]), 1)
  const message = await arrival(to)
  assert.deepEqual([`${message.data}`, message.ancillary, message.flags & MSG_CTRUNC], ['y', [], 0])
})

test('a file is passed with its position', (t) => {
  noLeak(t)
  const [from, to] = unixPair(t)
  const file = openSync(fixture('rights-writer.mjs'), 'r')
  readSync(file, Buffer.alloc(3))
  assert.equal(sendmsg(from, Buffer.from('x'), [rights([file])]), 1)
  closeSync(file)
  const [copy] = takeDescriptors(receive(to).ancillary)
  assert.ok(copy)
  const room = Buffer.alloc(8)
  readSync(copy.fd, room)
  assert.equal(room.toString(), 'Receives')
  copy.close()
})
