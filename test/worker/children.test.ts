import assert from 'node:assert/strict'
import test from 'node:test'
import { connect, get } from '../support/client.js'
import { openDescriptors } from '../support/descriptors.js'
import { fixture } from '../support/paths.js'
import { allClosed, fromEach, heard, program, said } from '../support/programs.js'
import { supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

interface ChildReport {
  channel: string | null
  port: number
  handle: string
  sockets: string[]
}

const child = JSON.stringify(fixture('child.cjs'))
const onLinux = { skip: process.platform !== 'linux' && 'looks into /proc' }

const APP = `
  import http from 'node:http'
  const server = http.createServer((request, response) => response.end(String(process.pid)))
  server.listen(0, '127.0.0.1', () => start((report) => say('child', report)))`

for (const [kind, source] of [
  [
    'forked child',
    `import { fork } from 'node:child_process'
    const start = (tell) => fork(${child}).on('message', tell)`,
  ],
  [
    'spawned child with the environment of the worker',
    `import { spawn } from 'node:child_process'
    const start = (tell) => {
      const child = spawn(process.execPath, [...process.execArgv, ${child}], { stdio: ['ipc', 'pipe', 'inherit'], env: { ...process.env } })
      child.on('message', tell)
    }`,
  ],
  [
    'worker thread of the program',
    `import { Worker } from 'node:worker_threads'
    const start = (tell) => new Worker(${child}).on('message', tell)`,
  ],
] as const) {
  test(`a ${kind} sees no channel and listens on a port of its own`, onLinux, async (t) => {
    const { port, pids, supervisor, ...workers } = await supervise(t, { script: program(t, source + APP), workers: 2 })
    const reports = await heard<ChildReport>(workers, 'child', 2)
    for (const report of reports) {
      assert.equal(report.channel, null)
      assert.equal(report.handle, 'TCP')
      assert.equal((await get({ port: report.port })).body, 'child')
    }
    assert.equal(new Set([port, ...reports.map((report) => report.port)]).size, 3)
    assert.deepEqual(supervisor.status().ports.length, 1)
    await fromEach(pids(), async () => Number((await get({ port })).body))
  })
}

test('a child inherits neither the channel nor a connection of its worker', onLinux, async (t) => {
  const script = program(
    t,
    `import { fork } from 'node:child_process'
    import net from 'node:net'
    net.createServer((socket) => fork(${child}).on('message', (report) => say('child', report))).listen(0, '127.0.0.1')`,
  )
  const { port, pids, ...worker } = await supervise(t, { script })
  const socket = await connect({ port })
  const [report] = await heard<ChildReport>(worker, 'child')
  const ofWorker = new Set(openDescriptors(pids()[0]).values())
  assert.deepEqual(
    report?.sockets.filter((target) => ofWorker.has(target)),
    [],
  )
  socket.destroy()
})

test('a worker ends when it is stopped, though a child of its own still runs', async (t) => {
  const script = program(
    t,
    `import { fork } from 'node:child_process'\nconst start = (tell) => fork(${child}).on('message', tell)${APP}`,
  )
  const { supervisor, events, ...worker } = await supervise(t, { script, drainTimeout: 60_000 })
  await heard(worker, 'child')
  let stopped = false
  supervisor.stop().then(() => {
    stopped = true
  })
  await until('stop settles', () => stopped)
  assert.deepEqual(events.find(({ name }) => name === 'ended')?.end, { code: 0, signal: null })
})

test('a program that uses node:cluster by itself works under two workers', async (t) => {
  const { supervisor, port, pids } = await supervise(t, { script: fixture('cluster-app.mjs'), workers: 2 })
  const servers = new Set<string>()
  await until('both workers of both workers answer', async () => {
    const { body } = await get({ port })
    const [primary] = body.split(' ')
    assert.ok(pids().includes(Number(primary)))
    return servers.add(body).size === 4
  })
  await allClosed(supervisor)
})

test('a program passes a connection on to a child of its own', async (t) => {
  const script = program(
    t,
    `import { fork } from 'node:child_process'
    import net from 'node:net'
    if (process.send) {
      process.on('message', (message, socket) => socket.end(message + ' ' + process.pid))
      process.send('up')
    } else {
      const child = fork(process.argv[1])
      child.once('message', () => {
        net.createServer((socket) => child.send('from', socket)).listen(0, '127.0.0.1')
        say('child', child.pid)
      })
    }`,
  )
  const { supervisor, port, pids, ...worker } = await supervise(t, { script })
  const [pid] = await heard<number>(worker, 'child')
  let received = ''
  for await (const chunk of (await connect({ port })).setEncoding('utf8')) received += chunk
  assert.equal(received, `from ${pid}`)
  assert.notEqual(pid, pids()[0])
  await allClosed(supervisor)
})

test('a program that passes its server on to a child of its own is not ended by it', async (t) => {
  const script = program(
    t,
    `import { fork } from 'node:child_process'
    import net from 'node:net'
    if (process.send) {
      process.on('message', (message, server) => server?.on('connection', (socket) => socket.end('served')))
      process.send('up')
    } else {
      const child = fork(process.argv[1])
      const outcome = (error) => say('outcome', error?.code ?? 'passed')
      child.on('error', outcome)
      child.once('message', () => {
        const server = net.createServer((socket) => socket.end('served')).listen(0, '127.0.0.1', () => {
          try {
            child.send('server', server, outcome)
          } catch (error) {
            outcome(error)
          }
        })
      })
    }`,
  )
  const { port, events, ...worker } = await supervise(t, { script })
  await until(
    'it has passed, failed or ended',
    () => said(worker, 'outcome').length > 0 || events.some(({ name }) => name === 'ended'),
  )
  assert.deepEqual(
    events.filter(({ name }) => name === 'ended'),
    [],
  )
  let received = ''
  for await (const chunk of (await connect({ port })).setEncoding('utf8')) received += chunk
  assert.equal(received, 'served')
})
