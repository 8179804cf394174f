import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import net, { type AddressInfo } from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { Supervisor } from '../../src/index.js'
import { get } from '../support/client.js'
import { scratch } from '../support/paths.js'
import { freePort, fromEach, heard, plainly, program } from '../support/programs.js'
import { supervise } from '../support/supervised.js'

/** Holds a place for the length of a test. @returns the port */
async function held(t: TestContext, place: net.ListenOptions): Promise<number> {
  const server = net.createServer().listen(place)
  t.after(() => server.close())
  await once(server, 'listening')
  return (server.address() as AddressInfo | string | null) === place.path ? 0 : (server.address() as AddressInfo).port
}

/** A program that listens on port 0, so that it counts as ready, and on `place`, and says what errors come of it. */
function failing(t: TestContext, place: unknown[]): string {
  return program(
    t,
    `import http from 'node:http'
    http.createServer().listen(0)
    const server = http.createServer()
    server.on('error', ({ name, message, code, errno, syscall, address, port, ...more }) => {
      say('error', { name, message, code, errno, syscall, address, port, more, listening: server.listening })
      say('done')
    })
    server.on('listening', () => say('done'))
    server.listen(...${JSON.stringify(place)})
    say('error', ['behind listen', server.listening, server.address()])`,
  )
}

/** Starts a worker that cannot listen on its one port. */
async function startInVain(
  t: TestContext,
  script: string,
  port: number,
): Promise<{ lines: string[]; codes: unknown[] }> {
  const supervisor = new Supervisor({ script, args: [String(port)] })
  t.after(() => supervisor.kill())
  const lines: string[] = []
  const codes: unknown[] = []
  supervisor.on('line', ({ text }) => lines.push(text))
  supervisor.on('ended', ({ end }) => codes.push(end.code))
  await assert.rejects(supervisor.start(), { code: 'EADDRINUSE', syscall: 'bind', address: '127.0.0.1', port })
  return { lines, codes }
}

/** Compares what both workers say of an error with what the same program says by itself. */
async function sameError(t: TestContext, place: unknown[], code: string): Promise<void> {
  const script = failing(t, place)
  const plain = plainly(t, script)
  await heard(plain, 'done')
  const expected = await heard<{ code?: string }>(plain, 'error')
  const workers = await supervise(t, { script, workers: 2 })
  await heard(workers, 'done', 2)
  const errors = await heard(workers, 'error', expected.length * 2)
  assert.deepEqual(expected.map((error) => error.code).filter(Boolean), [code], 'the plain program')
  for (const error of expected) {
    assert.equal(
      errors.filter((one) => JSON.stringify(one) === JSON.stringify(error)).length,
      2,
      JSON.stringify({ expected, errors }, null, 1),
    )
  }
}

test('a port that another process holds is EADDRINUSE, in the words of Node', async (t) => {
  const port = await held(t, { port: 0, host: '127.0.0.1' })
  await sameError(t, [{ port, host: '127.0.0.1' }], 'EADDRINUSE')
})

test('a port that another process holds on every address is EADDRINUSE, in the words of Node', async (t) => {
  const port = await held(t, { port: 0 })
  await sameError(t, [port], 'EADDRINUSE')
})

test('a port that another process holds on IPv4 alone refuses a server for every address, in the words of Node', async (t) => {
  const port = await held(t, { port: 0, host: '0.0.0.0' })
  await sameError(t, [port], 'EADDRINUSE')
})

test('a port that another process holds on IPv6 is EADDRINUSE, in the words of Node', async (t) => {
  const port = await held(t, { port: 0, host: '::1' })
  await sameError(t, [port, '::1'], 'EADDRINUSE')
})

test('an address that this machine does not have is EADDRNOTAVAIL, in the words of Node', async (t) => {
  await sameError(t, [0, '192.0.2.1'], 'EADDRNOTAVAIL')
})

test('a host name that does not exist is reported by Node, without the master', async (t) => {
  await sameError(t, [0, 'no..such..name'], 'ENOTFOUND')
})

test('a path in a folder that does not exist fails in the words of Node', async (t) => {
  await sameError(t, [join(scratch(t), 'missing/app.sock')], 'EACCES')
})

test('a path that another process listens on is EADDRINUSE, in the words of Node', async (t) => {
  const path = join(scratch(t), 'held.sock')
  await held(t, { path })
  await sameError(t, [path], 'EADDRINUSE')
  assert.ok(existsSync(path))
})

test('a path that is an ordinary file is EADDRINUSE, and the file stays as it was', async (t) => {
  const path = join(scratch(t), 'notes.txt')
  writeFileSync(path, 'not a socket')
  await sameError(t, [path], 'EADDRINUSE')
  assert.equal(readFileSync(path, 'utf8'), 'not a socket')
})

test('a path below an ordinary file fails in the words of Node', async (t) => {
  const file = join(scratch(t), 'notes.txt')
  writeFileSync(file, '')
  await sameError(t, [join(file, 'app.sock')], 'ENOTDIR')
})

test('a path too long for a socket is EINVAL, and nothing is made of it', async (t) => {
  const folder = scratch(t)
  const workers = await supervise(t, { script: failing(t, [join(folder, 'long'.repeat(40))]), workers: 2 })
  await heard(workers, 'done', 2)
  const codes = (await heard<{ code?: string }>(workers, 'error', 4)).map(({ code }) => code).filter(Boolean)
  assert.deepEqual(codes, ['EINVAL', 'EINVAL'])
  assert.deepEqual(readdirSync(folder), [])
})

test('the same port twice in one program is EADDRINUSE for the second, as in a plain program', async (t) => {
  const script = program(
    t,
    `import http from 'node:http'
    const port = Number(process.argv[2] ?? process.env.PLAIN_PORT)
    const first = http.createServer((request, response) => response.end('first ' + process.pid)).listen(port)
    const second = http.createServer((request, response) => response.end('second'))
    second.on('error', ({ message, code }) => say('error', { message, code, listening: second.listening }))
    second.listen(port)`,
  )
  const port = await freePort()
  const workers = await supervise(t, { script, workers: 2, args: [String(port)] })
  const errors = await heard(workers, 'error', 2)
  const expected = {
    message: `listen EADDRINUSE: address already in use :::${port}`,
    code: 'EADDRINUSE',
    listening: false,
  }
  assert.deepEqual(errors, [expected, expected])
  await fromEach(workers.pids(), async () => Number(/^first (\d+)$/.exec((await get({ port })).body)?.[1]))
  await workers.supervisor.stop()
  const plain = plainly(t, script, { PLAIN_PORT: String(port) })
  assert.deepEqual(await heard(plain, 'error'), [expected])
})

test('the same port for every address and for one of them is EADDRINUSE for the second', async (t) => {
  const script = program(
    t,
    `import http from 'node:http'
    const first = http.createServer().listen(0, () => {
      const second = http.createServer().listen(first.address().port, '127.0.0.1')
      second.on('error', ({ code }) => say('error', code))
    })`,
  )
  const workers = await supervise(t, { script, workers: 2 })
  assert.deepEqual(await heard(workers, 'error', 2), ['EADDRINUSE', 'EADDRINUSE'])
})

test('a server that listens already says so, and goes on', async (t) => {
  const script = program(
    t,
    `import http from 'node:http'
    const server = http.createServer((request, response) => response.end(String(process.pid))).listen(0)
    try {
      server.listen(0)
    } catch ({ name, code, message }) {
      say('thrown', { name, code, message })
    }`,
  )
  const plain = plainly(t, script)
  const { port, pids, ...workers } = await supervise(t, { script, workers: 2 })
  const [expected] = await heard(plain, 'thrown')
  assert.deepEqual(await heard(workers, 'thrown', 2), [expected, expected])
  await fromEach(pids(), async () => Number((await get({ port })).body))
})

test('arguments that listen refuses are refused as in a plain program', async (t) => {
  const script = program(
    t,
    `import http from 'node:http'
    http.createServer().listen(0)
    for (const place of [[-1], [65536], [{}], [{ port: 'x' }], [{ fd: -1 }], [{ host: '127.0.0.1' }], [true]]) {
      try {
        http.createServer().listen(...place).close()
        say('outcome', 'listens')
      } catch ({ name, code, message }) {
        say('outcome', { name, code, message })
      }
    }`,
  )
  const plain = plainly(t, script)
  const worker = await supervise(t, { script })
  const expected = await heard(plain, 'outcome', 7)
  assert.deepEqual(await heard(worker, 'outcome', 7), expected)
})

test('a program that takes the next port when one is in use works, and all workers agree on it', async (t) => {
  const script = program(
    t,
    `import http from 'node:http'
    let port = Number(process.argv[2])
    const server = http.createServer((request, response) => response.end(String(process.pid)))
    server.on('error', ({ code }) => {
      say('error', code)
      server.listen(++port, '127.0.0.1')
    })
    server.on('listening', () => say('port', server.address().port))
    server.listen(port, '127.0.0.1')`,
  )
  const port = await held(t, { port: 0, host: '127.0.0.1' })
  const { pids, ...workers } = await supervise(t, { script, workers: 2, args: [String(port)] })
  const [one, other] = await heard<number>(workers, 'port', 2)
  assert.ok(one !== undefined && one > port)
  assert.equal(one, other)
  await fromEach(pids(), async () => Number((await get({ port: one })).body))
})

test('a program that tries again until the port is free has it in the end, in every worker', async (t) => {
  const script = program(
    t,
    `import http from 'node:http'
    const server = http.createServer((request, response) => response.end(String(process.pid)))
    server.on('error', ({ code }) => {
      say('error', code)
      setTimeout(() => {
        server.close()
        server.listen(process.argv[2])
      }, 50)
    })
    server.listen(process.argv[2], () => say('listens'))
    http.createServer().listen(0)`,
  )
  const holder = net.createServer().listen(0)
  await once(holder, 'listening')
  const { port } = holder.address() as AddressInfo
  const { pids, ...workers } = await supervise(t, { script, workers: 2, args: [String(port)] })
  await heard(workers, 'error', 4)
  holder.close()
  await heard(workers, 'listens', 2)
  await fromEach(pids(), async () => Number((await get({ port })).body))
})

test('a promise of listening is rejected with the error', async (t) => {
  const script = program(
    t,
    `import { once } from 'node:events'
    import http from 'node:http'
    http.createServer().listen(0)
    try {
      await once(http.createServer().listen(process.argv[2], '127.0.0.1'), 'listening')
    } catch ({ code }) {
      say('rejected', code)
    }`,
  )
  const port = await held(t, { port: 0, host: '127.0.0.1' })
  const workers = await supervise(t, { script, workers: 2, args: [String(port)] })
  assert.deepEqual(await heard(workers, 'rejected', 2), ['EADDRINUSE', 'EADDRINUSE'])
})

const LISTENS_IN_VAIN = `
  http.createServer().listen(0)
  http.createServer().listen(process.argv[2], '127.0.0.1')`

test('an error without a listener goes to the uncaughtException handler of the program', async (t) => {
  const port = await held(t, { port: 0, host: '127.0.0.1' })
  const script = program(
    t,
    `import http from 'node:http'
    process.on('uncaughtException', ({ code }) => say('caught', code))
    ${LISTENS_IN_VAIN}`,
  )
  const workers = await supervise(t, { script, workers: 2, args: [String(port)] })
  assert.deepEqual(await heard(workers, 'caught', 2), ['EADDRINUSE', 'EADDRINUSE'])
})

test('an error without a listener goes to the capture callback of the program', async (t) => {
  const port = await held(t, { port: 0, host: '127.0.0.1' })
  const script = program(
    t,
    `import http from 'node:http'
    process.setUncaughtExceptionCaptureCallback(({ code }) => say('caught', code))
    ${LISTENS_IN_VAIN}`,
  )
  const workers = await supervise(t, { script, workers: 2, args: [String(port)] })
  assert.deepEqual(await heard(workers, 'caught', 2), ['EADDRINUSE', 'EADDRINUSE'])
})

test('an error that nobody handles ends the worker with code 1, after its exit handlers', async (t) => {
  const port = await held(t, { port: 0, host: '127.0.0.1' })
  const script = program(
    t,
    `import http from 'node:http'
    process.on('exit', (code) => say('exit', code))
    http.createServer().listen(process.argv[2], '127.0.0.1')`,
  )
  const { lines, codes } = await startInVain(t, script, port)
  assert.deepEqual(codes, [1])
  assert.deepEqual(await heard({ lines }, 'exit'), [1])
})

test('an error that nobody handles is shown to those who monitor uncaught exceptions', async (t) => {
  const port = await held(t, { port: 0, host: '127.0.0.1' })
  const script = program(
    t,
    `import http from 'node:http'
    process.on('uncaughtExceptionMonitor', ({ code }) => say('monitor', code))
    http.createServer().listen(process.argv[2], '127.0.0.1')`,
  )
  const { lines } = await startInVain(t, script, port)
  assert.deepEqual(await heard({ lines }, 'monitor'), ['EADDRINUSE'])
})
