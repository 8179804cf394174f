import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { connect, get, inParallel } from '../support/client.js'
import { openDescriptors } from '../support/descriptors.js'
import { scratch } from '../support/paths.js'
import { allClosed, closed, freePort, fromEach, heard, program, said } from '../support/programs.js'
import { type Supervised, supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

/** Two worker threads of this process, and how their ids compare. */
async function threads(t: TestContext, source: string, more: object = {}): Promise<Supervised & { ids: number[] }> {
  const script = program(
    t,
    `import { threadId, isMainThread } from 'node:worker_threads'\n${source}\nsay('thread', threadId)`,
  )
  const supervised = await supervise(t, { script, workers: 2, threads: true, ...more })
  const ids = await heard<number>(supervised, 'thread', 2)
  assert.notEqual(ids[0], ids[1])
  return { ...supervised, ids }
}

const HTTP = `
  import http from 'node:http'
  http.createServer((request, response) => response.end(threadId + ' ' + isMainThread)).listen(0, '127.0.0.1')`

async function idOf(port: number): Promise<number> {
  const [id, main] = (await get({ port })).body.split(' ')
  assert.equal(main, 'false')
  return Number(id)
}

test('an unmodified http server is answered by every worker thread', async (t) => {
  const { supervisor, port, ids, pids } = await threads(t, HTTP)
  assert.deepEqual(pids(), [process.pid, process.pid])
  await fromEach(ids, () => idOf(port))
  await inParallel(200, 20, async () => assert.ok(ids.includes(await idOf(port))))
  await allClosed(supervisor)
})

test('an unmodified net server echoes in every worker thread', async (t) => {
  const source = `
    import net from 'node:net'
    net.createServer({ allowHalfOpen: true }, (socket) => {
      socket.write(threadId + ' ')
      socket.pipe(socket)
    }).listen(0, '127.0.0.1')`
  const { supervisor, port, ids } = await threads(t, source)
  const large = 'across threads; '.repeat(20_000)
  await fromEach(ids, async () => {
    const socket = await connect({ port })
    socket.end(large)
    let received = ''
    for await (const chunk of socket.setEncoding('utf8')) received += chunk
    const [id] = received.split(' ')
    assert.equal(received, `${id} ${large}`)
    return Number(id)
  })
  await allClosed(supervisor)
})

test('worker threads serve a path, and agree on ports, and on which are in use', async (t) => {
  const path = join(scratch(t), 'thread.sock')
  const port = await freePort()
  const source = `
    import http from 'node:http'
    const answer = (request, response) => response.end(String(threadId))
    http.createServer(answer).listen(process.argv[2])
    const server = http.createServer(answer).listen(Number(process.argv[3]))
    http.createServer().listen(Number(process.argv[3])).on('error', ({ code }) => say('twice', code))
    say('address', server.address().port)`
  const { ids, ...workers } = await threads(t, source, { args: [path, String(port)] })
  assert.deepEqual(said(workers, 'address'), [port, port])
  assert.deepEqual(await heard(workers, 'twice', 2), ['EADDRINUSE', 'EADDRINUSE'])
  await fromEach(ids, async () => Number((await get({ path })).body))
  await fromEach(ids, async () => Number((await get({ port })).body))
  await workers.supervisor.stop()
  assert.equal(existsSync(path), false)
})

test('a worker thread that throws is replaced, and the other goes on', async (t) => {
  const source = `
    import http from 'node:http'
    http.createServer((request, response) => {
      if (request.url === '/throw') throw new Error('as asked')
      response.end(threadId + ' ' + isMainThread)
    }).listen(0, '127.0.0.1')`
  const { port, ids, events, ...workers } = await threads(t, source)
  await assert.rejects(get({ port }, '/throw'))
  await until('it has ended', () => events.some(({ name }) => name === 'ended'))
  const three = await heard<number>(workers, 'thread', 3)
  const survivors = new Set<number>()
  await until('two threads answer', async () => survivors.add(await idOf(port)).size === 2)
  assert.ok(survivors.has(three[2] as number))
  assert.equal(ids.filter((id) => survivors.has(id)).length, 1)
  assert.ok(workers.lines.includes('Error: as asked'))
})

test('worker threads that are stopped finish what is under way, and end with code 0', async (t) => {
  const source = `
    import http from 'node:http'
    setInterval(() => {}, 1000)
    http.createServer(async (request, response) => {
      let size = 0
      for await (const chunk of request) {
        if (size === 0) say('reads')
        size += chunk.length
      }
      response.end('had ' + size)
    }).listen(0, '127.0.0.1')`
  const { supervisor, port, events, ...workers } = await threads(t, source)
  const socket = await connect({ port })
  let received = ''
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    received += chunk
  })
  const gone = closed(socket)
  socket.write('POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\nhalf')
  await heard(workers, 'reads')
  const stopped = supervisor.stop()
  await until('nobody listens', () =>
    connect({ port })
      .then(
        (late) => void late.destroy(),
        () => true,
      )
      .then(Boolean),
  )
  socket.write('half')
  await gone
  assert.match(received, /had 8$/)
  await stopped
  assert.deepEqual(
    events.filter(({ name }) => name === 'ended').map(({ end }) => end),
    [
      { code: 0, signal: null },
      { code: 0, signal: null },
    ],
  )
})

test('worker threads that are gone leave no descriptor behind', async (t) => {
  const before = openDescriptors().size
  const { supervisor, port } = await threads(t, HTTP)
  await inParallel(50, 10, async () => void (await idOf(port)))
  await supervisor.stop()
  await until('as many descriptors as before', () => openDescriptors().size <= before)
})
