/** examples/client.py at one end, a channel of this process at the other: both directions, and all that can happen. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { constants, fstatSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import net, { type AddressInfo } from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { type Channel, ListeningPort, listen, share, spawn } from '../../src/index.js'
import { type Descriptor, socketpair } from '../../src/sendmsg/index.js'
import { noLeak } from '../support/descriptors.js'
import { root, scratch } from '../support/paths.js'
import { error, soon } from '../support/peers.js'
import { interpreter, type Python, PythonError, python } from '../support/python.js'
import { until } from '../support/wait.js'

const found = interpreter('cpython')
const { skip } = found

const IMPORT = `
import sys, threading
sys.path.insert(0, examples)
import client
from client import Thing, NotClaimed
open_before = open_count()
`

/** Python with `channel` in it, and its other end. */
async function connected(t: TestContext): Promise<{ channel: Channel; peer: Python }> {
  const listener = await listen(join(scratch(t), 'name'))
  t.after(() => listener.close())
  const peer = python(t, found)
  const made = peer.run(`${IMPORT}\nchannel = client.Channel(address)`, {
    examples: join(root, 'examples'),
    address: listener.address,
  })
  const channel = (await soon(listener.accept())) as Channel
  t.after(() => channel.close())
  await made
  assert.equal(channel.peer?.pid, peer.pid)
  return { channel, peer }
}

/** A connection of this process: its server's side, and its client's. */
async function connection(t: TestContext, host = '127.0.0.1'): Promise<{ socket: net.Socket; client: net.Socket }> {
  const server = net.createServer().listen(0, host)
  t.after(() => server.close())
  await once(server, 'listening')
  const client = net.connect((server.address() as AddressInfo).port, '127.0.0.1')
  t.after(() => client.destroy())
  const [socket] = (await once(server, 'connection')) as [net.Socket]
  t.after(() => socket.destroy())
  return { socket, client }
}

/** What came to a client until its end. */
async function heard(client: net.Socket): Promise<string> {
  let text = ''
  for await (const chunk of client) text += chunk
  return text
}

/** For `assert.rejects`: an exception of Python's. */
function raised(type: string, says = /./): (thrown: unknown) => boolean {
  return (thrown) => {
    assert.ok(thrown instanceof PythonError, `${thrown}`)
    assert.equal(thrown.type, type, thrown.message)
    assert.match(thrown.message, says)
    return true
  }
}

const NOTHING_LEFT = 'open_count() - open_before - 1' // but the channel itself

test('a connection goes to Python and comes back, with what was read of it and what was not', { skip }, async (t) => {
  noLeak(t)
  const { channel, peer } = await connected(t)
  for (const host of ['127.0.0.1', '::']) {
    const { socket, client } = await connection(t, host)
    client.write('read before')
    await once(socket, 'readable')
    const sent = channel.send({ user: 'ann' }, [socket])
    assert.deepEqual(
      await peer.run(`
        message, [thing] = channel.receive()
        [message, thing.kind, thing.details['type'], thing.unread]`),
      [{ user: 'ann' }, 'connection', 'tcp', 'read before'],
    )
    await soon(sent)
    client.write(' and after')
    const back = channel.receive()
    await peer.run(`
      channel.send('back', [thing])
      thing.descriptors[0].close()`)
    const delivery = await soon(back)
    assert.equal(delivery?.message, 'back')
    const again = delivery?.things[0] as net.Socket
    let text = ''
    again.on('data', (chunk) => {
      text += chunk
    })
    await until('all came', () => text === 'read before and after')
    again.end('bye')
    assert.equal(await heard(client), 'bye')
  }
  assert.equal(await peer.run(NOTHING_LEFT), 0)
})

test('an offer that comes while Python sends waits for its receive', { skip }, async (t) => {
  noLeak(t)
  const { channel, peer } = await connected(t)
  const { socket, client } = await connection(t)
  const sending = peer.run(`channel.send('first')`)
  await until('it is here', () => channel.waiting === 1)
  const offered = [channel.send('one', [socket]), channel.send('two')]
  await until('they wait', () => channel.pending === 2)
  assert.equal((await channel.receive())?.message, 'first')
  await soon(sending)
  assert.equal(channel.pending, 2)
  assert.deepEqual(await peer.run(`message, [thing] = channel.receive(); message`), 'one')
  assert.equal(await peer.run(`channel.receive()[0]`), 'two')
  await soon(Promise.all(offered))
  await peer.run(`thing.descriptors[0].sendall(b'hello'); thing.descriptors[0].close()`)
  assert.equal(await heard(client), 'hello')
})

test('what is longer than a frame is joined, in both directions', { skip }, async (t) => {
  noLeak(t)
  const { channel, peer } = await connected(t)
  for (const length of [65_000, 65_536, 200_000, 1_600_000]) {
    const text = 'é😀x'.repeat(length / 4)
    const sent = channel.send({ text }, [
      share(await open(join(root, 'package.json')).then((file) => closedWith(t, file))),
    ])
    assert.equal(await peer.run(`message, [thing] = channel.receive(); len(message['text'])`), text.length - length / 4)
    await soon(sent)
    const back = channel.receive()
    await peer.run(`channel.send(message, [thing]); os.close(thing.descriptors[0])`)
    const delivery = await soon(back)
    assert.deepEqual(delivery?.message, { text })
    const file = delivery?.things[0] as FileHandle
    await file.close()
  }
  assert.equal(await peer.run(NOTHING_LEFT), 0)
})

function closedWith(t: TestContext, file: FileHandle): FileHandle {
  t.after(() => file.close())
  return file
}

test('things of several descriptors, and those that are no sockets, keep theirs', { skip }, async (t) => {
  noLeak(t)
  const { channel, peer } = await connected(t)
  const folder = scratch(t)
  const path = join(folder, 'port')
  const port = ListeningPort.open({ path })
  t.after(() => port.close())
  rmSync(path)
  port.renew() // who waits at the socket that had the path before is still served
  assert.equal(port.descriptors.length, 2)
  writeFileSync(join(folder, 'file'), 'text of the file')
  const file = await open(join(folder, 'file'))
  const number = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY)
  const [one, other] = socketpair()
  t.after(() => other.close())
  const sent = channel.send(undefined, [share(port), file, number, one])
  assert.deepEqual(
    await peer.run(`
      message, things = channel.receive()
      import stat
      [message, [thing.kind for thing in things],
       [[type(one).__name__ for one in thing.descriptors] for thing in things],
       [one.getsockname() for one in things[0].descriptors],
       os.pread(things[1].descriptors[0], 100, 0), stat.S_ISDIR(os.fstat(things[2].descriptors[0]).st_mode)]`),
    [
      null,
      ['port', 'file', 'descriptor', 'descriptor'],
      [['socket', 'socket'], ['int'], ['int'], ['socket']],
      [path, path],
      'text of the file',
      true,
    ],
  )
  await soon(sent)
  const back = channel.receive()
  await peer.run(`channel.send('back', things)`)
  const things = (await soon(back))?.things as [ListeningPort, FileHandle, Descriptor, Descriptor]
  assert.deepEqual(
    things.map((thing) => thing.constructor.name),
    ['ListeningPort', 'FileHandle', 'Descriptor', 'Descriptor'],
  )
  assert.equal(things[0].descriptors.length, 2)
  assert.ok(fstatSync(things[2].fd).isDirectory())
  for (const thing of things) await thing.close()
})

test('what this side refuses Python hears of, with the reason, and has still', { skip }, async (t) => {
  noLeak(t)
  const listener = await listen(join(scratch(t), 'name'), {
    willing: ({ message }) => message !== 'unwanted' || 'nobody wants it',
  })
  t.after(() => listener.close())
  const channelPromise = listener.accept()
  const peer = python(t, found)
  await peer.run(`${IMPORT}\nchannel = client.Channel(address); port = socket.create_server(('127.0.0.1', 0))`, {
    examples: join(root, 'examples'),
    address: listener.address,
  })
  const channel = (await channelPromise) as Channel
  t.after(() => channel.close())
  channel.on('refused', () => {})
  await assert.rejects(
    peer.run(`channel.send('unwanted', [Thing('port', [port])])`),
    raised('NotClaimed', /: nobody wants it$/),
  )
  await assert.rejects(
    peer.run(`channel.send('unknown', [Thing('ship', [port])])`),
    raised('NotClaimed', /no kind "ship"/),
  )
  await peer.run(`right, client.identify = client.identify, lambda fd: right(fd).replace('127.0.0.1:', '127.0.0.1:1')`)
  await assert.rejects(
    peer.run(`channel.send('another', [Thing('port', [port])])`),
    raised('NotClaimed', /announced was "socket /),
  )
  const back = channel.receive()
  await peer.run(`client.identify = right; channel.send('wanted', [Thing('port', [port])])`)
  const delivery = await soon(back)
  const port = delivery?.things[0] as ListeningPort
  assert.equal((port.address as { port: number }).port, await peer.run('port.getsockname()[1]'))
  port.close()
})

test('what is not what was announced, Python refuses and closes', { skip }, async (t) => {
  noLeak(t)
  const { channel, peer } = await connected(t)
  const { socket, client } = await connection(t)
  await peer.run(`right, client.identify = client.identify, lambda fd: right(fd).replace('socket 2', 'socket 3')`)
  const taken = peer.run(`channel.receive()[0]`)
  await assert.rejects(
    soon(channel.send('one', [socket])),
    error('ERR_HANDOVER_REFUSED', /what came is not what was announced/),
  )
  await soon(channel.send('two'))
  assert.equal(await taken, 'two')
  assert.equal(await peer.run(NOTHING_LEFT), 0)
  socket.end('still ours')
  assert.equal(await heard(client), 'still ours')
})

test('an address that the kernel has forgotten meanwhile is no reason to refuse a connection', { skip }, async (t) => {
  noLeak(t)
  const { channel, peer } = await connected(t)
  const { socket } = await connection(t)
  await peer.run(`right, client.identify = client.identify, lambda fd: right(fd).rsplit(' ', 1)[0] + ' -'`)
  const sent = channel.send('one', [socket])
  assert.equal(await peer.run(`message, [thing] = channel.receive(); thing.descriptors[0].close(); message`), 'one')
  await soon(sent)
})

test('a withdrawal is answered while Python waits: the offer goes back, and its descriptors are closed', {
  skip,
}, async (t) => {
  noLeak(t)
  const { channel, peer } = await connected(t)
  const { socket, client } = await connection(t)
  const sending = peer.run(`channel.send('waits')`)
  await until('it is here', () => channel.waiting === 1)
  const second = new AbortController()
  const offered = [
    channel.send('one', [socket], { timeout: 50 }),
    channel.send('two', [], { signal: second.signal }),
    channel.send('three'),
  ] as const
  await assert.rejects(offered[0], error('ERR_HANDOVER_TIMED_OUT'))
  assert.equal(channel.closed, false)
  assert.equal((await channel.receive())?.message, 'waits')
  await soon(sending)
  assert.equal(await peer.run(NOTHING_LEFT), 0)
  assert.equal(await peer.run(`channel.receive()[0]`), 'two')
  await soon(offered[1])
  second.abort() // too late
  assert.equal(await peer.run(`channel.receive()[0]`), 'three')
  await soon(offered[2])
  socket.end('still ours')
  assert.equal(await heard(client), 'still ours')
})

test('at the end Python gets a ConnectionError, and what it had not received is the sender’s', { skip }, async (t) => {
  noLeak(t)
  const { channel, peer } = await connected(t)
  const receiving = assert.rejects(peer.run(`channel.receive()`), raised('ConnectionError', /the other side is gone/))
  channel.close()
  await receiving
  assert.equal(await peer.run('open_count() - open_before'), 0)

  const another = await connected(t)
  const { socket, client } = await connection(t)
  const sending = assert.rejects(
    another.peer.run(`channel.send('waits')`),
    raised('NotClaimed', /the channel was closed/),
  )
  await until('it is here', () => another.channel.waiting === 1)
  const offered = assert.rejects(another.channel.send('one', [socket]), error('ERR_HANDOVER_CLOSED'))
  await until('it is with Python', () => another.channel.pending === 1)
  another.channel.close()
  await Promise.all([sending, offered])
  socket.end('still ours')
  assert.equal(await heard(client), 'still ours')
})

test('what Python closes unreceived is the sender’s', { skip }, async (t) => {
  noLeak(t)
  const { channel, peer } = await connected(t)
  const { socket, client } = await connection(t)
  const sending = peer.run(`channel.send('waits')`)
  await until('it is here', () => channel.waiting === 1)
  const offered = assert.rejects(channel.send('one', [socket]), error('ERR_HANDOVER_PEER_GONE'))
  assert.equal((await channel.receive())?.message, 'waits')
  await soon(sending)
  await peer.run(`len(channel.offers)`).then((count) => assert.equal(count, 1))
  assert.equal(await peer.run(`channel.close(); open_count() - open_before`), 0)
  await offered
  assert.equal(await channel.receive(), null)
  socket.end('still ours')
  assert.equal(await heard(client), 'still ours')
})

test('started with a channel, it is found without an address', { skip }, async (t) => {
  noLeak(t)
  const script = `
import sys
sys.path.insert(0, sys.argv[1])
import client, os
channel = client.Channel()
message, [thing] = channel.receive()
thing.descriptors[0].sendall(b'from a child')
thing.descriptors[0].close()
channel.send([message, 'HANDOVER_CHANNEL' in os.environ, os.get_inheritable(3)])
try:
    channel.receive()
except ConnectionError as error:
    print(error)
`
  const { child, channel } = spawn(found.executable as string, ['-B', '-c', script, join(root, 'examples')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'close')
  t.after(async () => {
    child.kill('SIGKILL')
    await ended
  })
  t.after(() => channel.close())
  let out = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  const { socket, client } = await connection(t)
  await soon(channel.send('hello', [socket]))
  assert.equal(await heard(client), 'from a child')
  const { message } = (await soon(channel.receive())) ?? {}
  assert.deepEqual(message, ['hello', false, false])
  channel.close()
  assert.deepEqual(await ended, [0, null])
  assert.equal(out, 'the other side is gone\n')
})

test('an abstract name leads to the same', { skip }, async (t) => {
  noLeak(t)
  const listener = await listen('@')
  t.after(() => listener.close())
  const peer = python(t, found)
  await peer.run(`${IMPORT}\nchannel = client.Channel(address)`, {
    examples: join(root, 'examples'),
    address: listener.address,
  })
  const channel = (await soon(listener.accept())) as Channel
  const sent = channel.send([1, 'zwei', null])
  assert.deepEqual(await peer.run(`channel.receive()`), [[1, 'zwei', null], []])
  await soon(sent)
  channel.close()
})
