import assert from 'node:assert/strict'
import test from 'node:test'
import { firstLine, inspectPort, ListeningPort } from '../../src/index.js'
import { connect } from '../support/client.js'
import { noLeak } from '../support/descriptors.js'
import { fakeKernel } from '../support/fake-kernel.js'

const inspect = firstLine({ routes: { hello: 'greetings' } })

test('a closed port cannot be looked at, and nothing is left of the attempt', (t) => {
  noLeak(t)
  const port = ListeningPort.open({ host: '127.0.0.1', port: 0 })
  port.close()
  assert.throws(() => inspectPort(port, { inspect }), { code: 'EBADF' })
})

test('without a descriptor to accept with who is undecided makes room; else it is tried again, while there is a port', async (t) => {
  noLeak(t)
  const port = ListeningPort.open({ host: '127.0.0.1', port: 0 })
  const { port: number } = port.address as { port: number }
  const inspection = inspectPort(port, { inspect })
  t.after(() => inspection.close())
  const silent = await connect({ port: number })
  t.after(() => silent.destroy())
  while (inspection.undecided === 0) await new Promise((resolve) => setImmediate(resolve))
  let exhausted = true
  fakeKernel(t, { accept: (real, ...args) => (exhausted ? -24 : real(...args)) })
  const reasons: string[] = []
  inspection.on('setback', ({ reason }) => reasons.push(reason))
  const told = new Promise((resolve) => inspection.once('exhausted', resolve))
  const client = await connect({ port: number })
  t.after(() => client.destroy())
  await told
  assert.deepEqual(reasons, ['no descriptor was free'])
  exhausted = false
  client.write('hello\n')
  const { transport, route } = await new Promise<{ transport: { close(): void }; route: object }>((resolve) =>
    inspection.once('connection', resolve),
  )
  assert.deepEqual(route, { group: 'greetings' })
  transport.close()
  exhausted = true
  const again = new Promise((resolve) => inspection.once('exhausted', resolve))
  const late = await connect({ port: number })
  late.on('error', () => {})
  t.after(() => late.destroy())
  await again
  port.close()
})
