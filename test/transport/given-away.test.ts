/** What is given away has one owner at every moment: whatever fails, in whatever thread, nothing is lost or taken twice. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { Descriptor } from '../../src/sendmsg/index.js'
import { dup } from '../../src/syscalls/descriptor.js'
import { ListeningPort } from '../../src/transport/listening-port.js'
import { markOut } from '../../src/transport/movable.js'
import { portKind } from '../../src/transport/port.js'
import { serverKind } from '../../src/transport/server.js'
import { connect } from '../support/client.js'
import { noLeak, openDescriptors } from '../support/descriptors.js'
import { fakeKernel } from '../support/fake-kernel.js'
import { handOver } from '../support/parcels.js'
import { root, scratch } from '../support/paths.js'
import { until } from '../support/wait.js'

const local = { host: '127.0.0.1', port: 0 }
const wait = { flushTimeout: 0 }
const moduleOf = (name: string): string =>
  JSON.stringify(pathToFileURL(join(root, 'dist/src/transport', `${name}.js`)).href)

test('a port that a server cannot take stays as it was, watched or not', async (t) => {
  noLeak(t)
  const busy = net.createServer().listen(0, '127.0.0.1')
  t.after(() => busy.close())
  await once(busy, 'listening')
  const path = join(scratch(t), 'port')
  for (const options of [local, { path }]) {
    const port = ListeningPort.open(options)
    t.after(() => port.close())
    const where = typeof port.address === 'string' ? { path } : { port: port.address.port }
    assert.throws(() => port.listen(busy), { code: 'ERR_SERVER_ALREADY_LISTEN' })
    assert.ok(port.fd >= 0)
    let ready = 0
    port.watch(() => {
      port.pause()
      ready += 1
    })
    assert.throws(() => port.listen(busy), { code: 'ERR_SERVER_ALREADY_LISTEN' })
    const client = await connect(where)
    await until('it is watched still', () => ready === 1)
    const server = port.listen(net.createServer((socket) => socket.end('taken')))
    t.after(() => server.close())
    const [bytes] = (await once(client, 'data')) as [Buffer]
    assert.equal(bytes.toString(), 'taken')
    client.destroy()
    assert.equal(port.fd, -1)
    server.close()
  }
})

test('a port on its way is nobody else’s to take, and neither is a Descriptor', async (t) => {
  noLeak(t)
  const port = ListeningPort.open(local)
  t.after(() => port.close())
  const refusal = { code: 'ERR_HANDOVER_NOT_MOVABLE', message: /^it is on its way/ }
  const parcel = await portKind.release(port, wait)
  const server = net.createServer()
  assert.throws(() => port.listen(server), refusal)
  assert.equal(server.listening, false)
  parcel.restored()
  const descriptor = new Descriptor(dup(port.fd))
  markOut(descriptor, true)
  assert.throws(() => ListeningPort.adopt(descriptor), refusal)
  assert.ok(descriptor.fd >= 0, 'it was not taken')
  markOut(descriptor, false)
  ListeningPort.adopt(descriptor).close()
})

test('a server that cannot be sent leaves no copy of its port behind', async (t) => {
  noLeak(t)
  const server = net.createServer().listen(join(scratch(t), 'server'))
  t.after(() => server.close())
  await once(server, 'listening')
  const before = openDescriptors().size
  let fails = true
  fakeKernel(t, {
    forgetPipePath(real, descriptor) {
      if (fails) throw new Error('not now')
      return real(descriptor)
    },
  })
  for (let i = 0; i < 3; i++) assert.throws(() => serverKind.release(server, wait), /not now/)
  assert.equal(openDescriptors().size, before)
  fails = false
  const adopted = (await handOver(serverKind, server)) as net.Server
  adopted.close()
})

/** What a thread has when it ends: opened or arrived, watched, sent and not settled. */
const held = {
  'a port': `ListeningPort.open(local)`,
  'a port that a server could not take': `
    const port = ListeningPort.open(local)
    port.watch(() => {})
    try { port.listen({ listen() { throw new Error('not me') } }) } catch {}
    port.pause()`,
  'a port that a server could not take, and nobody watched': `
    const port = ListeningPort.open(local)
    try { port.listen({ listen() { throw new Error('not me') } }) } catch {}`,
  'a port that is watched': `const port = ListeningPort.open(local); port.watch(() => {})`,
  'sockets that had its path before': `
    const port = ListeningPort.open(local)
    port.addRetired([ListeningPort.open(local).fd])`,
  'a port on its way': `portKind.release(ListeningPort.open(local), { flushTimeout: 0 })`,
}

for (const [what, code] of Object.entries(held)) {
  test(`a thread that ends leaves nothing open of what it had: ${what}`, async (t) => {
    noLeak(t)
    const program = `
      const { parentPort } = require('node:worker_threads')
      const local = ${JSON.stringify(local)}
      Promise.all([import(${moduleOf('listening-port')}), import(${moduleOf('port')})]).then(([{ ListeningPort }, { portKind }]) => {
        ${code}
        setInterval(() => {}, 1000)
        parentPort.postMessage('ready')
      })`
    const worker = new Worker(program, { eval: true })
    await once(worker, 'message')
    await worker.terminate()
  })
}

test('what a thread gave away is not closed with it', async (t) => {
  noLeak(t)
  const own = ListeningPort.open(local)
  t.after(() => own.close())
  const program = `
    const { parentPort } = require('node:worker_threads')
    const { closeSync } = require('node:fs')
    import(${moduleOf('listening-port')}).then(({ ListeningPort }) => {
      const port = ListeningPort.open(${JSON.stringify(local)})
      const { fd } = port
      port.watch(() => {})
      port.close()
      parentPort.postMessage(fd)
      setInterval(() => {}, 1000)
    })`
  const worker = new Worker(program, { eval: true })
  const [fd] = (await once(worker, 'message')) as [number]
  // The number is free: whoever gets it keeps it when the thread ends.
  const mine: number[] = []
  while (!mine.includes(fd) && mine.length < 50) mine.push(dup(own.fd))
  t.after(() => {
    for (const each of mine) new Descriptor(each).close()
  })
  await worker.terminate()
  assert.ok(mine.includes(fd))
  assert.ok(openDescriptors().has(fd))
})
