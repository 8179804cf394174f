import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { errnoOf } from '../../src/errors.js'
import { dup } from '../../src/syscalls/descriptor.js'
import { forgetPipePath } from '../../src/syscalls/pipe-path.js'
import { noLeak } from '../support/descriptors.js'
import { fakeKernel } from '../support/fake-kernel.js'
import { root, scratch } from '../support/paths.js'

const numberOf = (of: net.Server | net.Socket): number => (of as unknown as { _handle: { fd: number } })._handle.fd

async function listening(where: net.ListenOptions & { fd?: number }): Promise<net.Server> {
  const server = net.createServer((socket) => socket.end('served')).listen(where)
  await once(server, 'listening')
  return server
}

async function closed(server: net.Server): Promise<void> {
  server.close()
  await once(server, 'close')
}

async function answer(path: string): Promise<string> {
  const client = net.connect(path).setEncoding('utf8')
  const [said] = await once(client, 'data')
  await once(client, 'close')
  return said as string
}

test('the file of a server on a path goes with the server, and stays when its path is forgotten', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  await closed(await listening({ path }))
  assert.equal(existsSync(path), false)
  const server = await listening({ path })
  assert.equal(forgetPipePath(numberOf(server)), true)
  assert.equal(await answer(path), 'served', 'it goes on serving')
  await closed(server)
  assert.equal(existsSync(path), true)
})

test('a port that was handed on is served at its path when the first server is closed', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const first = await listening({ path })
  const copy = dup(numberOf(first))
  forgetPipePath(numberOf(first))
  await closed(first)
  const second = await listening({ fd: copy })
  assert.equal(await answer(path), 'served')
  assert.equal(forgetPipePath(copy), false, 'a descriptor that was given has no path to unlink')
  await closed(second)
  assert.equal(existsSync(path), true)
})

test('only the server that is meant forgets its path', async (t) => {
  noLeak(t)
  const folder = scratch(t)
  const [stays, goes] = [await listening({ path: join(folder, 'a') }), await listening({ path: join(folder, 'b') })]
  assert.equal(forgetPipePath(numberOf(stays)), true)
  assert.equal(forgetPipePath(numberOf(stays)), false, 'once')
  await closed(stays)
  await closed(goes)
  assert.deepEqual([existsSync(join(folder, 'a')), existsSync(join(folder, 'b'))], [true, false])
})

test('what does not listen on a path has none to forget', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const server = await listening({ path })
  const client = net.connect(path)
  await once(client, 'connect')
  assert.equal(forgetPipePath(numberOf(client)), false)
  client.resume()
  await once(client, 'close')
  await closed(server)
  for (const where of [{ port: 0 }, ...(process.platform === 'linux' ? [{ path: `\0handover-${process.pid}` }] : [])]) {
    const other = await listening(where)
    assert.equal(forgetPipePath(numberOf(other)), false)
    await closed(other)
  }
  for (const number of [0, 99_999, -1]) assert.equal(forgetPipePath(number), false)
})

test('a thread forgets paths of its own', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const worker = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads')
    const net = require('node:net')
    const { existsSync } = require('node:fs')
    import(workerData.module).then(({ forgetPipePath }) => {
      const server = net.createServer().listen(workerData.path, () => {
        const number = server._handle.fd
        parentPort.postMessage(number)
        parentPort.once('message', () => {
          const forgotten = forgetPipePath(number)
          server.close(() => {
            parentPort.postMessage([forgotten, existsSync(workerData.path)])
            parentPort.close()
          })
        })
      })
    })`,
    {
      eval: true,
      workerData: { path, module: pathToFileURL(join(root, 'dist/src/syscalls/pipe-path.js')).href },
    },
  )
  const ended = once(worker, 'exit')
  const [number] = (await once(worker, 'message')) as [number]
  assert.equal(forgetPipePath(number), false, 'it is none of this thread’s')
  worker.postMessage('go')
  assert.deepEqual(await once(worker, 'message'), [[true, true]])
  await ended
})

test('a runtime without an event loop has nothing to forget', async (t) => {
  noLeak(t)
  const server = await listening({ path: join(scratch(t), 'socket') })
  fakeKernel(t, { forgetPipePath: () => errnoOf('ENOSYS') })
  assert.equal(forgetPipePath(numberOf(server)), false)
  await closed(server)
})
