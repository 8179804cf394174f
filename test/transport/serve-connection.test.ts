import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import test from 'node:test'
import { promisify } from 'node:util'
import { release, serveConnection } from '../../src/index.js'
import { connect } from '../support/client.js'
import { collect, ended } from '../support/connections.js'
import { noLeak } from '../support/descriptors.js'
import { until } from '../support/wait.js'

const countOf = (server: net.Server): Promise<number> => promisify(server.getConnections.bind(server))()

for (const [name, make] of [
  ['net', () => net.createServer((socket) => socket.write('served;'))],
  ['http', () => http.createServer((_, response) => response.end('served;'))],
] as const) {
  test(`a connection that ${name} serves is one of its own: counted, and waited for`, async (t) => {
    noLeak(t)
    const port = net.createServer()
    await once(port.listen(0, '127.0.0.1'), 'listening')
    const accepted = once(port, 'connection') as Promise<[net.Socket]>
    const client = ended(t, await connect({ port: (port.address() as net.AddressInfo).port }))
    const [socket] = await accepted
    port.close()
    const server: net.Server = make()
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const heard = collect(client)
    serveConnection(server, await release(socket))
    assert.equal(await countOf(server), 1)
    if (name === 'http') client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    await until('it is served', () => heard.text().includes('served;'))
    let closed = false
    server.close(() => {
      closed = true
    })
    assert.equal(closed, false)
    client.end()
    await until('the server has closed', () => closed)
    assert.equal(await countOf(server), 0)
  })
}

test('what is no server and no socket is named', () => {
  assert.throws(() => serveConnection({} as net.Server, new net.Socket()), /^TypeError: server: /)
  assert.throws(() => serveConnection(net.createServer(), {} as net.Socket), /^TypeError: socket: /)
})
