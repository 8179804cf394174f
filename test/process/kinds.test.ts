/** Everything that has a descriptor goes to another process and comes back: the same kind of thing, the same identity. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import dgram from 'node:dgram'
import { once } from 'node:events'
import { closeSync, constants, openSync, readFileSync, writeFileSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import http from 'node:http'
import net from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import tty from 'node:tty'
import { ListeningPort } from '../../src/index.js'
import { descriptorOfDatagrams } from '../../src/runtime/node-datagrams.js'
import { descriptorOfServer } from '../../src/runtime/node-servers.js'
import { descriptorOfSocket } from '../../src/runtime/node-sockets.js'
import * as api from '../../src/sendmsg/index.js'
import { identify } from '../../src/syscalls/identity.js'
import { connection, ended } from '../support/connections.js'
import { noLeak } from '../support/descriptors.js'
import { type Keeper, keeper, type Took } from '../support/keepers.js'
import { scratch } from '../support/paths.js'
import { soon } from '../support/peers.js'
import { connectedPython, interpreter, type Python, received, UNIX_KINDS } from '../support/python.js'

type Thing = { close?: () => unknown; destroy?: () => unknown; fd?: number }

function fdOf(thing: unknown): number {
  if (thing instanceof net.Socket) return descriptorOfSocket(thing)
  if (thing instanceof net.Server) return descriptorOfServer(thing)
  if (thing instanceof dgram.Socket) return descriptorOfDatagrams(thing)
  return typeof thing === 'number' ? thing : ((thing as Thing).fd as number)
}

async function end(thing: unknown): Promise<void> {
  const { destroy, close } = thing as Thing
  await (destroy ?? close)?.call(thing)
}

const fifo = (t: TestContext): [number, number] => {
  const path = join(scratch(t), 'fifo')
  execFileSync('mkfifo', [path])
  return [openSync(path, constants.O_RDONLY | constants.O_NONBLOCK), openSync(path, constants.O_WRONLY)]
}

const other = (t: TestContext, fd: number): void => t.after(() => closeSync(fd))

/** Every kind of thing of Node's and of ours, what class it arrives as, and whether it works still. */
const things: [what: string, kind: string, make: (t: TestContext) => unknown][] = [
  ['a TCP connection', 'Socket', async (t) => (await connection(t)).socket],
  ['a UNIX connection', 'Socket', async (t) => (await connection(t, 'UNIX')).socket],
  ['a TCP server', 'Server', (t) => listening(t, net.createServer())],
  ['an HTTP server', 'Server', (t) => listening(t, http.createServer())],
  ['a TCP port', 'ListeningPort', () => ListeningPort.open({ host: '127.0.0.1', port: 0 })],
  ['a UNIX port', 'ListeningPort', (t) => ListeningPort.open({ path: join(scratch(t), 'port') })],
  ['a UNIX port without a file', 'ListeningPort', () => ListeningPort.open({ path: `\0handover ${process.pid}` })],
  ['a UDP socket', 'Socket', (t) => bound(t)],
  ['a file', 'FileHandle', (t) => open(join(scratch(t), 'file'), 'w+')],
  ['a folder', 'FileHandle', (t) => open(scratch(t), constants.O_RDONLY | constants.O_DIRECTORY)],
  ['a folder by its number', 'Descriptor', (t) => openSync(scratch(t), constants.O_RDONLY | constants.O_DIRECTORY)],
  ['a device', 'FileHandle', () => open('/dev/null', 'r+')],
  [
    'the end of a pipe that is read',
    'Socket',
    (t) => {
      const [from, to] = fifo(t)
      other(t, to)
      return ended(t, new net.Socket({ fd: from, readable: true, writable: false }))
    },
  ],
  [
    'the end of a pipe that is written',
    'Descriptor',
    (t) => {
      const [from, to] = fifo(t)
      other(t, from)
      return to
    },
  ],
  ...UNIX_KINDS.map(([name, type]): (typeof things)[number] => [
    `a UNIX ${name} socket`,
    'Descriptor',
    (t) => {
      const [near, far] = api.socketpair(api.AF_UNIX, type)
      t.after(() => far.close())
      return near
    },
  ]),
]

async function listening(t: TestContext, server: net.Server): Promise<net.Server> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.after(() => server.close())
  return server
}

async function bound(t: TestContext): Promise<dgram.Socket> {
  const socket = dgram.createSocket('udp4')
  await once(socket.bind(0, '127.0.0.1'), 'listening')
  t.after(() => {
    if (descriptorOfDatagrams(socket) >= 0) socket.close()
  })
  return socket
}

/** Sends a thing there and has it back; checks what it is at each step. */
async function thereAndBack<Back>(t: TestContext, peer: Keeper, thing: unknown, kind: string): Promise<Back> {
  const id = identify(fdOf(thing))
  const turn = peer.said('took').length + 1
  peer.order({ take: {} })
  await soon(peer.channel.send(null, [thing]))
  assert.deepEqual((await peer.hears<Took>('took', turn)).things, [{ kind, id }])
  if (typeof thing !== 'number') assert.ok(!(fdOf(thing) >= 0), 'it is spent here')
  peer.order({ give: {} })
  const back = (await soon(peer.channel.receive()))?.things[0]
  t.after(() => end(back))
  assert.equal((back as object).constructor.name, kind)
  assert.equal(identify(fdOf(back)), id)
  return back as Back
}

test('each kind of thing goes to another process and comes back as the same', async (t) => {
  noLeak(t)
  const peer = await keeper(t)
  for (const [what, kind, make] of things) {
    await t.test(what, async () => {
      await thereAndBack(t, peer, await make(t), kind)
    })
  }
  assert.deepEqual(peer.said('failed'), [])
})

test('a file keeps its position, whoever has it', async (t) => {
  noLeak(t)
  const peer = await keeper(t)
  const path = join(scratch(t), 'file')
  writeFileSync(path, '0123456789')
  let file = await open(path)
  const read = async (): Promise<string> => String((await file.read(Buffer.alloc(3), 0, 3, null)).buffer)
  assert.equal(await read(), '012')
  file = await thereAndBack<FileHandle>(t, peer, file, 'FileHandle')
  assert.equal(await read(), '345')
  file = await thereAndBack<FileHandle>(t, peer, file, 'FileHandle')
  assert.equal(await read(), '678')
})

const cpython = interpreter('cpython')

/** A descriptor that a Python process made. */
async function fromPython(t: TestContext, peer: Python, ours: api.Descriptor, code: string): Promise<api.Descriptor> {
  await peer.run(`import os, socket, pty\n${code}\nsocket.send_fds(channel, [b'x'], [made])`)
  const [descriptor] = api.takeDescriptors((await received(ours, 1, 100)).ancillary)
  assert.ok(descriptor)
  t.after(() => descriptor.close())
  return descriptor
}

const fdinfo = (fd: number, name: string): string | undefined =>
  new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1]

test('what only the kernel knows keeps what is in it: memfd, eventfd, pidfd', { skip: cpython.skip }, async (t) => {
  noLeak(t)
  const peer = await keeper(t)
  const { ours, peer: program } = connectedPython(t, cpython)
  const memory = await fromPython(t, program, ours, `made = os.memfd_create('it'); os.write(made, b'inside')`)
  const memoryBack = await thereAndBack<api.Descriptor>(t, peer, memory, 'Descriptor')
  assert.equal(readFileSync(`/proc/self/fd/${memoryBack.fd}`, 'utf8'), 'inside')

  const event = await fromPython(t, program, ours, 'made = os.eventfd(0)')
  const eventBack = await thereAndBack<api.Descriptor>(t, peer, event, 'Descriptor')
  await program.run('os.eventfd_write(made, 0x2a)')
  assert.equal(fdinfo(eventBack.fd, 'eventfd-count')?.trim(), '2a')

  const pidfd = await fromPython(t, program, ours, `made = os.pidfd_open(${process.pid})`)
  const pidfdBack = await thereAndBack<api.Descriptor>(t, peer, pidfd, 'Descriptor')
  assert.equal(Number(fdinfo(pidfdBack.fd, 'Pid')), process.pid)
})

test('a terminal is one there and here', { skip: cpython.skip }, async (t) => {
  noLeak(t)
  const peer = await keeper(t)
  const { ours, peer: program } = connectedPython(t, cpython)
  const opened = await fromPython(t, program, ours, 'main, made = pty.openpty()')
  const back = await thereAndBack<tty.ReadStream>(t, peer, ended(t, new tty.ReadStream(opened.fd)), 'ReadStream')
  assert.ok(back.isTTY)
  await program.run(`os.write(main, b'typed\\n')`)
  assert.match(String((await soon(once(back, 'data')))[0]), /typed/)
})

test('messages of UNIX sockets keep their bounds, and wait while the socket travels', async (t) => {
  noLeak(t)
  const peer = await keeper(t)
  for (const type of [api.SOCK_DGRAM, api.SOCK_SEQPACKET]) {
    const [near, far] = api.socketpair(api.AF_UNIX, type)
    t.after(() => far.close())
    for (const word of ['one', 'two']) api.sendmsg(far, Buffer.from(word))
    const back = await thereAndBack<api.Descriptor>(t, peer, near, 'Descriptor')
    api.sendmsg(far, Buffer.from('three'))
    const words = [1, 2, 3].map(() => String(api.recvmsg(back)?.data))
    assert.deepEqual(words, ['one', 'two', 'three'])
  }
})
