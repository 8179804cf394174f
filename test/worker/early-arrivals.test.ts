import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect as connectNow } from 'node:net'
import test from 'node:test'
import { spawnWithLink } from '../../src/bootstrap/inherit.js'
import { ListeningPort } from '../../src/index.js'
import { closeMany } from '../../src/syscalls/descriptor.js'
import type { ListenRequest } from '../../src/wire/control.js'
import { program } from '../support/programs.js'
import { until } from '../support/wait.js'

/** Whether a process has come to the stop that SIGSTOP asks for. */
const isStopped = (pid: number): boolean => / T /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))

const preload = new URL('../../src/worker/preload.js', import.meta.url).href

test('a connection that a worker reads together with the answer to listen is served, not sent back', {
  skip: process.platform !== 'linux' && 'looks into /proc',
}, async (t) => {
  const script = program(
    t,
    `import net from 'node:net'
    net.createServer((socket) => socket.end('served')).listen(0, '127.0.0.1')`,
  )
  const port = ListeningPort.open({ host: '127.0.0.1', port: 0 })
  t.after(() => port.close())
  assert.ok(typeof port.address !== 'string')
  const socket = connectNow(port.address.port, '127.0.0.1')
  t.after(() => socket.destroy())
  await once(socket, 'connect')
  const seen = { claimed: 0, returned: 0 }
  let request: ListenRequest | null = null
  const { child, channel } = spawnWithLink(
    process.execPath,
    ['--import', preload, script],
    { stdio: ['ignore', 'inherit', 'inherit'] },
    {
      message: (message) => {
        request = message as ListenRequest
      },
      claimed: () => {
        seen.claimed += 1
      },
      returned: ({ descriptors }) => {
        seen.returned += descriptors.length
        closeMany(descriptors)
      },
    },
  )
  const pid = child.pid as number
  const ended = once(child, 'exit')
  t.after(async () => {
    child.kill('SIGKILL')
    await ended
    channel.closeAfterDeath()
  })
  await until('the worker asks to listen', () => request !== null)
  process.kill(pid, 'SIGSTOP')
  await until('the worker stands still', () => isStopped(pid))
  const { id } = request as unknown as ListenRequest
  channel.send({ type: 'listening', reply: id, ports: [7], address: port.address })
  await until('the connection is accepted', () => port.accept(1) === 1)
  channel.take(port.batch.descriptor(0), 7)
  channel.flush()
  process.kill(pid, 'SIGCONT')
  let received = ''
  for await (const chunk of socket.setEncoding('utf8')) received += chunk
  assert.equal(received, 'served')
  assert.deepEqual(seen, { claimed: 1, returned: 0 })
})
