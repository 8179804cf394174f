import assert from 'node:assert/strict'
import test from 'node:test'
import { connect, get } from '../support/client.js'
import { allClosed, closed, heard, plainly, program, said } from '../support/programs.js'
import { supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

test('a connection listener that throws is an uncaught exception, and the rest of its batch is served', async (t) => {
  const script = program(
    t,
    `import net from 'node:net'
    process.on('uncaughtException', (error, origin) => say('caught', [error.message, origin]))
    let count = 0
    const server = net.createServer((socket) => {
      socket.on('error', () => {})
      if (++count % 5 === 0) {
        socket.destroy()
        throw new Error('number ' + count)
      }
      socket.end(String(count))
    })
    server.listen(0, '127.0.0.1')`,
  )
  const { supervisor, port, ...worker } = await supervise(t, { script })
  const answers = await Promise.all(
    Array.from({ length: 50 }, async () => {
      const socket = await connect({ port })
      let received = ''
      for await (const chunk of socket.setEncoding('utf8')) received += chunk
      return received
    }),
  )
  const numbers = Array.from({ length: 50 }, (_, i) => i + 1)
  assert.deepEqual(
    answers.filter(Boolean).sort((a, b) => Number(a) - Number(b)),
    numbers.filter((n) => n % 5 !== 0).map(String),
  )
  assert.deepEqual(
    await heard(worker, 'caught', 10),
    numbers.filter((n) => n % 5 === 0).map((n) => [`number ${n}`, 'uncaughtException']),
  )
  await allClosed(supervisor)
})

test('a connection listener that throws, with no handler, ends the worker as it ends a plain program', async (t) => {
  const script = program(
    t,
    `import net from 'node:net'
    const server = net.createServer(() => {
      throw new Error('as written')
    })
    server.listen(0, '127.0.0.1', () => say('port', server.address().port))`,
  )
  const plain = plainly(t, script)
  const [plainPort] = (await heard<number>(plain, 'port')) as [number]
  ;(await connect({ port: plainPort })).on('error', () => {}).resume()
  assert.equal(await plain.ended, 1)
  const { port, events, lines } = await supervise(t, { script })
  ;(await connect({ port })).on('error', () => {}).resume()
  await until('the worker ends', () => events.some(({ name }) => name === 'ended'))
  assert.deepEqual(events.find(({ name }) => name === 'ended')?.end, { code: 1, signal: null })
  await until('the stack is shown', () => lines.includes('Error: as written'))
})

test('AsyncLocalStorage has for connections and requests what it has in a plain program', async (t) => {
  const script = program(
    t,
    `import { AsyncLocalStorage } from 'node:async_hooks'
    import http from 'node:http'
    import net from 'node:net'
    const storage = new AsyncLocalStorage()
    const seen = (what) => say('seen', [what, storage.getStore() ?? null])
    const server = http.createServer((request, response) => {
      seen('request')
      storage.run('request ' + request.url, () => {
        setTimeout(() => {
          seen('timer')
          request.on('end', () => {
            seen('end')
            response.end()
          }).resume()
        }, 1)
      })
    })
    server.on('connection', () => seen('connection'))
    storage.run('server', () => {
      server.listen(0, () => {
        seen('listening')
        say('port', server.address().port)
      })
    })`,
  )
  const plain = plainly(t, script)
  const worker = await supervise(t, { script })
  for (const program of [plain, worker]) {
    const [port] = (await heard<number>(program, 'port')) as [number]
    await get({ port }, '/one')
    await get({ port }, '/two')
  }
  const expected = await heard(plain, 'seen', 9)
  assert.deepEqual(await heard(worker, 'seen', 9), expected)
})

test('the store of one request does not reach another, however many are under way', async (t) => {
  const script = program(
    t,
    `import { AsyncLocalStorage } from 'node:async_hooks'
    import http from 'node:http'
    const storage = new AsyncLocalStorage()
    const server = http.createServer((request, response) => {
      const before = storage.getStore() ?? null
      storage.run(request.url, async () => {
        await new Promise((resolve) => setTimeout(resolve, 5))
        response.end(JSON.stringify([before, storage.getStore()]))
      })
    })
    server.listen(0, '127.0.0.1')`,
  )
  const { port } = await supervise(t, { script, workers: 2 })
  await Promise.all(
    Array.from({ length: 100 }, async (_, i) => {
      assert.deepEqual(JSON.parse((await get({ port }, `/${i}`)).body), [null, `/${i}`])
    }),
  )
})

test('async hooks see a handle for every connection, and its end', async (t) => {
  const script = program(
    t,
    `import { createHook } from 'node:async_hooks'
    import net from 'node:net'
    const handles = new Set()
    const ofConnections = new Set()
    createHook({
      init: (id, type) => {
        if (type === 'TCPWRAP') handles.add(id)
      },
      destroy: (id) => {
        if (ofConnections.has(id)) say('destroyed')
      },
    }).enable()
    net.createServer((socket) => {
      const id = socket._handle.getAsyncId()
      ofConnections.add(id)
      say('known', handles.has(id))
      socket.end()
    }).listen(0, '127.0.0.1')`,
  )
  const { port, ...worker } = await supervise(t, { script })
  // Node tells of the end in a later turn of the loop, which nothing but a further connection may bring about.
  await until('a handle is destroyed', async () => {
    await closed((await connect({ port })).resume())
    return said(worker, 'destroyed').length > 0
  })
  assert.ok(said(worker, 'known').every((known) => known === true))
})
