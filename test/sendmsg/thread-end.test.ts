/** What a worker thread owns is closed with it, however it ends. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import test from 'node:test'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import * as api from '../../src/sendmsg/index.js'
import { noLeak } from '../support/descriptors.js'
import { root } from '../support/paths.js'
import { owned } from '../support/socket-kinds.js'

const entry = JSON.stringify(pathToFileURL(join(root, 'dist/src/sendmsg/index.js')).href)

/** Owns a copy of a descriptor and one end of a pair, lets a third go, waits for one, and ends as it is told. */
const program = (lent: number): string => `
  const { parentPort } = require('node:worker_threads')
  import(${entry}).then(({ dup, readable, socketpair }) => {
    const [left, right] = socketpair()
    const copy = dup(${lent})
    readable(left).catch(() => {})
    parentPort.once('message', (how) => (how === 'exit' ? process.exit() : parentPort.close() ?? left.close()))
    parentPort.postMessage({ released: right.release(), copy: copy.fd })
  })`

for (const how of ['is terminated', 'exits', 'comes to its end']) {
  test(`a thread that ${how} leaves nothing open that it owned, and all that it released`, async (t) => {
    noLeak(t)
    const [near, far] = api.socketpair().map((end) => owned(t, end)) as [api.Descriptor, api.Descriptor]
    const worker = new Worker(program(far.fd), { eval: true })
    const [{ released }] = (await once(worker, 'message')) as [{ released: number }]
    far.close()
    const open = api.recvmsg(near)
    assert.equal(open, null, 'the thread still has a copy')
    const ended = once(worker, 'exit')
    if (how === 'is terminated') worker.terminate()
    else worker.postMessage(how === 'exits' ? 'exit' : 'end')
    await ended
    await api.readable(near)
    assert.equal(api.recvmsg(near)?.data.length, 0, 'the copy went with the thread')
    assert.equal(api.getSocketFamily(released), api.AF_UNIX)
    api.close(released)
  })
}

test('a thread that waits for a descriptor of another’s leaves it open', async (t) => {
  noLeak(t)
  const [left] = api.socketpair().map((end) => owned(t, end)) as [api.Descriptor, api.Descriptor]
  const code = `import(${entry}).then(({ readable }) => {
    readable(${left.fd}).catch(() => {})
    require('node:worker_threads').parentPort.postMessage('waiting')
  })`
  const worker = new Worker(code, { eval: true })
  await once(worker, 'message')
  await worker.terminate()
  assert.equal(api.getSocketFamily(left), api.AF_UNIX)
})
