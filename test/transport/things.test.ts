/** What a descriptor becomes, by nothing but what it is. */
import assert from 'node:assert/strict'
import dgram from 'node:dgram'
import net from 'node:net'
import test, { type TestContext } from 'node:test'
import * as api from '../../src/sendmsg/index.js'
import { ListeningPort } from '../../src/transport/listening-port.js'
import { thingOf } from '../../src/transport/things.js'
import { tcpPair, unixPair } from '../support/control.js'
import { noLeak } from '../support/descriptors.js'
import { fakeKernel } from '../support/fake-kernel.js'

const UDP_LITE = 136
const MPTCP = 262

/** A socket of a protocol that this kernel may not know. */
function socketOf(type: number, protocol: number): api.Descriptor | null {
  try {
    return api.socket(api.AF_INET, type, protocol)
  } catch {
    return null
  }
}

function made(t: TestContext, descriptor: api.Descriptor): unknown {
  const thing = thingOf(descriptor.release())
  t.after(() => (thing instanceof net.Socket ? thing.destroy() : thing.close()))
  return thing
}

test('a datagram socket of another protocol than UDP is a Descriptor', async (t) => {
  noLeak(t)
  const lite = socketOf(api.SOCK_DGRAM, UDP_LITE)
  if (lite === null) return t.skip('this kernel has no UDP-Lite')
  assert.ok(made(t, lite) instanceof api.Descriptor)
  assert.ok(made(t, api.socket(api.AF_INET, api.SOCK_DGRAM)) instanceof dgram.Socket)
  assert.ok(made(t, api.socket(api.AF_INET6, api.SOCK_DGRAM)) instanceof dgram.Socket)
})

test('a stream socket that is not connected is a Descriptor, whatever its family', async (t) => {
  noLeak(t)
  for (const family of [api.AF_UNIX, api.AF_INET, api.AF_INET6]) {
    assert.ok(made(t, api.socket(family, api.SOCK_STREAM)) instanceof api.Descriptor)
  }
  const bound = api.socket(api.AF_INET, api.SOCK_STREAM)
  api.bind(bound, { address: '127.0.0.1', port: 0 })
  assert.ok(made(t, bound) instanceof api.Descriptor)
})

test('connected streams are sockets, also when their peer has gone; what listens is a port', async (t) => {
  noLeak(t)
  const [client, server] = await tcpPair(t, 4)
  const [one, other] = unixPair(t)
  other.close()
  for (const descriptor of [client, server, one]) assert.ok(made(t, descriptor) instanceof net.Socket)
  for (const family of [api.AF_UNIX, api.AF_INET]) {
    const listening = api.socket(family, api.SOCK_STREAM)
    api.bind(listening, family === api.AF_UNIX ? { path: '' } : { address: '127.0.0.1', port: 0 })
    api.listen(listening)
    assert.ok(made(t, listening) instanceof ListeningPort)
  }
  const [packets] = unixPair(t, api.SOCK_SEQPACKET)
  assert.ok(made(t, packets) instanceof api.Descriptor)
})

test('a connection over MPTCP is a socket, too', async (t) => {
  noLeak(t)
  const listener = socketOf(api.SOCK_STREAM, MPTCP)
  const client = socketOf(api.SOCK_STREAM, MPTCP)
  if (listener === null || client === null) return t.skip('this kernel has no MPTCP')
  t.after(() => listener.close())
  api.bind(listener, { address: '127.0.0.1', port: 0 })
  api.listen(listener)
  api.connect(client, api.getsockname(listener) as api.Address)
  await api.writable(client)
  assert.ok(made(t, client) instanceof net.Socket)
})

test('whatever is thrown, the descriptor is closed', (t) => {
  noLeak(t)
  fakeKernel(t, {
    identify: () => -5, // EIO
  })
  const [one] = unixPair(t)
  assert.throws(() => thingOf(one.release()), { code: 'EIO' })
})
