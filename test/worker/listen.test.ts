import assert from 'node:assert/strict'
import { once } from 'node:events'
import type net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { connect, get } from '../support/client.js'
import { root } from '../support/paths.js'
import { allClosed, freePort, fromEach, heard, plainly, program, said } from '../support/programs.js'
import { supervise } from '../support/supervised.js'

/** What is said with the kernel's choice of ports left out. */
const masked = (values: unknown[]): unknown[] =>
  values.map((value) => JSON.parse(JSON.stringify(value).replace(/"port":[1-9]\d*/g, '"port":"some"')))

test('right behind listen and at its event, a server knows of itself what it does in a plain program', async (t) => {
  const script = program(
    t,
    `import http from 'node:http'
    import net from 'node:net'
    const places = [[], [0], [0, '127.0.0.1'], [0, '0.0.0.0'], [0, '::1'], [0, '::'], [{ port: 0, ipv6Only: true }],
      [{ port: 0, host: '127.0.0.1', exclusive: true }], [{ port: 0, exclusive: true }], [0, 'localhost']]
    let left = places.length
    const next = (at) => {
      if (at === places.length) return say('all')
      const server = at % 2 ? net.createServer() : http.createServer()
      const look = (when) => say('looks', [when, places[at], server.listening, server.address()])
      server.on('listening', () => look('event'))
      look('before')
      const returned = server.listen(...places[at], () => {
        look('callback')
        next(at + 1)
      })
      look('behind')
      say('looks', returned === server)
    }
    next(0)`,
  )
  const plain = plainly(t, script)
  const worker = await supervise(t, { script })
  for (const program of [plain, worker]) await heard(program, 'all')
  assert.deepEqual(masked(said(worker, 'looks')), masked(said(plain, 'looks')))
})

test('port 0 is one port for all workers, and two of them are two ports, the same pair in every worker', async (t) => {
  const script = program(
    t,
    `import http from 'node:http'
    const listen = (name) =>
      http.createServer((request, response) => response.end(name + ' ' + process.pid)).listen(0).address().port
    say('ports', [listen('first'), listen('second')])`,
  )
  const { supervisor, pids, ...workers } = await supervise(t, { script, workers: 2 })
  const [[first, second], others] = (await heard<[number, number]>(workers, 'ports', 2)) as [[number, number], number[]]
  assert.notEqual(first, second)
  assert.deepEqual(others, [first, second])
  for (const [name, port] of Object.entries({ first, second })) {
    await fromEach(pids(), async () => {
      const [who, pid] = (await get({ port })).body.split(' ')
      assert.equal(who, name)
      return Number(pid)
    })
  }
  await allClosed(supervisor)
})

test('a further port 0, after an earlier one was closed, is a port of its own', async (t) => {
  const script = program(
    t,
    `import http from 'node:http'
    const listen = (name) => http.createServer((request, response) => response.end(name)).listen(0)
    const first = listen('first')
    const second = listen('second')
    first.close()
    const third = listen('third')
    say('ports', [second.address().port, third.address().port])`,
  )
  const workers = await supervise(t, { script, workers: 2 })
  for (const [second, third] of await heard<[number, number]>(workers, 'ports', 2)) {
    assert.notEqual(third, second)
    assert.equal((await get({ port: second })).body, 'second')
    assert.equal((await get({ port: third })).body, 'third')
  }
})

test('a worker that takes the place of a dead one listens on the same port 0', async (t) => {
  const script = program(
    t,
    `import http from 'node:http'
    http.createServer((request, response) => response.end(String(process.pid))).listen(0, () => say('listens'))`,
  )
  const { port, pids, ...workers } = await supervise(t, { script, workers: 2 })
  await heard(workers, 'listens', 2)
  const killed = pids()[0] as number
  process.kill(killed, 'SIGKILL')
  await heard(workers, 'listens', 3)
  assert.ok(!pids().includes(killed))
  await fromEach(pids(), async () => Number((await get({ port })).body))
})

test('a host name is looked up, and an address of another family refuses its clients', async (t) => {
  const script = program(
    t,
    `import http from 'node:http'
    http.createServer((request, response) => response.end(String(process.pid))).listen(0, 'localhost')`,
  )
  const { port, pids } = await supervise(t, { script, workers: 2 })
  await fromEach(pids(), async () => Number((await get({ port, host: 'localhost' })).body))
})

test('ipv6Only refuses IPv4 clients, and leaves their port to another server', async (t) => {
  const script = program(
    t,
    `import http from 'node:http'
    const six = http.createServer((request, response) => response.end('six'))
    six.listen({ port: 0, host: '::', ipv6Only: true }, () => {
      const { port } = six.address()
      say('port', port)
      if (process.argv[2] === 'both') {
        http.createServer((request, response) => response.end('four')).listen(port, '0.0.0.0', () => say('both'))
      }
    })`,
  )
  const alone = await supervise(t, { script, workers: 2 })
  assert.equal((await get({ port: alone.port, host: '::1' })).body, 'six')
  await assert.rejects(connect({ port: alone.port, host: '127.0.0.1' }), { code: 'ECONNREFUSED' })
  const both = await supervise(t, { script, workers: 2, args: ['both'] })
  await heard(both, 'both', 2)
  const [port] = said<number>(both, 'port') as [number]
  assert.equal((await get({ port, host: '::1' })).body, 'six')
  assert.equal((await get({ port, host: '127.0.0.1' })).body, 'four')
})

test('exclusive ports are served by every worker', async (t) => {
  const script = program(
    t,
    `import http from 'node:http'
    http.createServer((request, response) => response.end(String(process.pid))).listen({ port: 0, exclusive: true })`,
  )
  const { port, pids } = await supervise(t, { script, workers: 2 })
  await fromEach(pids(), async () => Number((await get({ port })).body))
})

test('a server may listen late: after a timer, an await, a look-up', async (t) => {
  const script = program(
    t,
    `import http from 'node:http'
    import { setTimeout as delay } from 'node:timers/promises'
    await delay(50)
    const server = http.createServer((request, response) => response.end(String(process.pid)))
    setTimeout(async () => {
      await new Promise((resolve) => server.listen(0, 'localhost', resolve))
      say('listens')
    }, 50)`,
  )
  const { port, pids } = await supervise(t, { script, workers: 2 })
  await fromEach(pids(), async () => Number((await get({ port })).body))
})

test('the addresses of a connection are the true ones', async (t) => {
  const script = program(
    t,
    `import net from 'node:net'
    const tell = (socket) => {
      const { remoteAddress, remotePort, remoteFamily, localAddress, localPort, localFamily } = socket
      socket.end(JSON.stringify({
        remoteAddress, remotePort, remoteFamily, localAddress, localPort, localFamily, own: socket.address(),
      }))
    }
    for (const host of ['127.0.0.1', '::1', '::']) {
      const server = net.createServer(tell).listen(0, host, () => say('place', [host, server.address().port]))
    }`,
  )
  const worker = await supervise(t, { script })
  const ports = new Map(await heard<[string, number]>(worker, 'place', 3))
  for (const [host, clientHost, seenAs, family] of [
    ['127.0.0.1', '127.0.0.1', '127.0.0.1', 'IPv4'],
    ['::1', '::1', '::1', 'IPv6'],
    ['::', '127.0.0.1', '::ffff:127.0.0.1', 'IPv6'],
  ] as const) {
    const port = ports.get(host) as number
    const socket = await connect({ port, host: clientHost })
    const { localPort } = socket
    let told = ''
    for await (const chunk of socket.setEncoding('utf8')) told += chunk
    assert.deepEqual(JSON.parse(told), {
      ...{ remoteAddress: seenAs, remotePort: localPort, remoteFamily: family },
      ...{ localAddress: seenAs, localPort: port, localFamily: family },
      own: { address: seenAs, family, port },
    })
  }
})

test('a server closed and made to listen again, on the same port, serves again', async (t) => {
  const script = program(
    t,
    `import http from 'node:http'
    let rounds = 0
    const port = Number(process.argv[2])
    const server = http.createServer((request, response) => response.end(rounds + ' ' + process.pid))
    const events = []
    for (const name of ['listening', 'close']) server.on(name, () => events.push(name))
    const again = () => {
      if (++rounds === 3) return say('events', events)
      server.close((error) => {
        if (error || server.listening || server.address() !== null) say('events', 'is not closed')
        server.listen(port, '127.0.0.1', again)
      })
    }
    server.listen(port, '127.0.0.1', again)`,
  )
  const port = await freePort()
  const { pids, ...workers } = await supervise(t, { script, workers: 2, args: [String(port)] })
  const events = ['listening', 'close', 'listening', 'close', 'listening']
  assert.deepEqual(await heard(workers, 'events', 2), [events, events])
  await fromEach(pids(), async () => Number(/^3 (\d+)$/.exec((await get({ port })).body)?.[1]))
})

test('a server closed may listen again on the number that port 0 was, while other workers still do', async (t) => {
  const script = program(
    t,
    `import http from 'node:http'
    const server = http.createServer((request, response) => response.end(String(process.pid)))
    server.on('error', (error) => say('again', error.message))
    server.listen(0, '127.0.0.1')
    server.once('listening', () => {
      const { port } = server.address()
      if (process.env.HANDOVER_WORKER === '2') return
      process.once('SIGUSR2', () => server.close(() => server.listen(port, '127.0.0.1', () => say('again', 'listens'))))
      say('armed')
    })`,
  )
  const { port, pids, ...workers } = await supervise(t, { script, workers: 2 })
  await heard(workers, 'armed')
  process.kill(pids()[0] as number, 'SIGUSR2')
  assert.deepEqual(await heard(workers, 'again'), ['listens'])
  await fromEach(pids(), async () => Number((await get({ port })).body))
})

test('a port that every worker has closed refuses clients, and others may have it', async (t) => {
  const script = program(
    t,
    `import http from 'node:http'
    http.createServer().listen(0)
    const server = http.createServer((request, response) => {
      response.end(String(process.pid))
      server.close(() => say('closed'))
    })
    server.listen(0, '127.0.0.1', () => say('port', server.address().port))`,
  )
  const { pids, ...workers } = await supervise(t, { script, workers: 2 })
  const [port] = (await heard<number>(workers, 'port', 2)) as [number]
  const first = Number((await get({ port })).body)
  await heard(workers, 'closed', 1)
  const second = Number((await get({ port })).body)
  assert.deepEqual([first, second].sort(), pids().sort(), 'the worker that closed it has no more of its connections')
  await heard(workers, 'closed', 2)
  await assert.rejects(connect({ port }), { code: 'ECONNREFUSED' })
})

test('an abort signal closes a server that listens', async (t) => {
  const script = program(
    t,
    `import http from 'node:http'
    http.createServer().listen(0)
    const controller = new AbortController()
    const server = http.createServer((request, response) => {
      response.end('once')
      controller.abort()
    })
    server.on('close', () => say('closed'))
    server.listen({ port: 0, signal: controller.signal }, () => say('port', server.address().port))`,
  )
  const worker = await supervise(t, { script })
  const [port] = (await heard<number>(worker, 'port')) as [number]
  assert.equal((await get({ port })).body, 'once')
  await heard(worker, 'closed')
  await assert.rejects(connect({ port }), { code: 'ECONNREFUSED' })
})

const syscalls = JSON.stringify(join(root, 'dist/src/syscalls/'))

test('a server that listens on a descriptor or a handle of its own is left alone', async (t) => {
  const script = program(
    t,
    `import http from 'node:http'
    import net from 'node:net'
    const { socket } = await import(${syscalls} + 'socket.js')
    const { bind } = await import(${syscalls} + 'bind.js')
    const constants = await import(${syscalls} + 'constants.js')
    const answer = (request, response) => response.end(String(process.pid))
    http.createServer(answer).listen(0)
    const bound = () => {
      const descriptor = socket(constants.AF_INET)
      bind(descriptor, { address: '127.0.0.1', port: 0 })
      return descriptor
    }
    const onDescriptor = http.createServer(answer)
    onDescriptor.listen({ fd: bound() }, () => {
      const TCP = onDescriptor._handle.constructor
      const handle = new TCP(1)
      handle.bind('127.0.0.1', 0)
      const onHandle = http.createServer(answer).listen(handle, () => {
        for (const { port } of [onDescriptor.address(), onHandle.address()]) say('port', [process.pid, port])
      })
    })`,
  )
  const { pids, supervisor, ...workers } = await supervise(t, { script, workers: 2 })
  const ports = await heard<[number, number]>(workers, 'port', 4)
  assert.equal(new Set(ports.map(([, port]) => port)).size, 4, 'every worker has ports of its own')
  for (const [pid, port] of ports) assert.equal(Number((await get({ port })).body), pid)
  assert.equal(supervisor.status().dispatched, 0)
})

test('a server may listen on the handle of another server, as in a plain program', async (t) => {
  const script = program(
    t,
    `import net from 'node:net'
    const first = net.createServer((socket) => socket.end('first')).listen(0, '127.0.0.1', () => {
      const second = net.createServer((socket) => socket.end('second'))
      try {
        second.listen(first, () => say('outcome', second.address().port === first.address().port))
      } catch (error) {
        say('outcome', error.code)
      }
    })`,
  )
  const plain = plainly(t, script)
  const worker = await supervise(t, { script })
  const expected = await heard(plain, 'outcome')
  assert.deepEqual(await heard(worker, 'outcome'), expected)
})

test('a program finds itself as it is when it runs alone: main module, primary, without a parent', async (t) => {
  const source = `const cluster = require('node:cluster')
    const http = require('node:http')
    say('self', {
      main: require.main === module,
      argv: process.argv.slice(1),
      primary: cluster.isPrimary,
      worker: cluster.isWorker,
      send: typeof process.send,
      connected: process.connected ?? null,
      channel: process.env.HANDOVER_CHANNEL ?? null,
      listen: http.Server.prototype.listen.name + http.Server.prototype.listen.length,
    })
    http.createServer().listen(0)`
  const script = program(t, source, 'app.cjs')
  const plain = plainly(t, script)
  const worker = await supervise(t, { script })
  const expected = await heard(plain, 'self')
  assert.deepEqual(await heard(worker, 'self'), expected)
})

test('many servers on ports of their own are kept apart', async (t) => {
  const script = program(
    t,
    `import http from 'node:http'
    for (let n = 0; n < 20; n++) {
      const server = http.createServer((request, response) => response.end(String(n)))
      server.listen(0, '127.0.0.1', () => say('place', [n, server.address().port]))
    }`,
  )
  const { supervisor, ...workers } = await supervise(t, { script, workers: 2 })
  const places = await heard<[number, number]>(workers, 'place', 40)
  assert.equal(new Set(places.map(([, port]) => port)).size, 20)
  for (const [n, port] of places) assert.equal((await get({ port })).body, String(n))
  await allClosed(supervisor)
})

test('a client that waits for the server to listen is served by it', async (t) => {
  const script = program(
    t,
    `import net from 'node:net'
    const server = net.createServer((socket) => socket.end('served'))
    server.listen(0, '127.0.0.1')
    server.on('listening', () => {
      const socket = net.connect(server.address().port, '127.0.0.1')
      socket.setEncoding('utf8').on('data', (data) => say('received', data))
    })`,
  )
  const workers = await supervise(t, { script, workers: 2 })
  assert.deepEqual(await heard(workers, 'received', 2), ['served', 'served'])
})

test('a connection is made in the turn of the loop it comes in, on the socket class of Node', async (t) => {
  const script = program(
    t,
    `import net from 'node:net'
    const server = net.createServer((socket) => {
      say('socket', {
        server: socket.server === server,
        instance: socket instanceof net.Socket,
        handle: socket._handle.constructor.name,
        connecting: socket.connecting,
        pending: socket.pending,
        state: socket.readyState,
        bytes: [socket.bytesRead, socket.bytesWritten],
        timeout: socket.timeout ?? null,
        halfOpen: socket.allowHalfOpen,
      })
      socket.end()
    }).listen(0, '127.0.0.1', () => say('port', server.address().port))`,
  )
  const plain = plainly(t, script)
  const worker = await supervise(t, { script })
  for (const program of [plain, worker]) {
    const [port] = (await heard<number>(program, 'port')) as [number]
    const socket: net.Socket = await connect({ port })
    await once(socket.resume(), 'close')
  }
  const expected = await heard(plain, 'socket')
  assert.deepEqual(await heard(worker, 'socket'), expected)
})
