import { once } from 'node:events'
import net from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { scratch } from './paths.js'

export type Over = 'IPv4' | 'IPv6' | 'UNIX'

/** Both ends of a connection, destroyed with the test; what comes of them later is the test's to destroy. */
export async function connection(
  t: TestContext,
  over: Over = 'IPv4',
  options: net.ServerOpts = {},
): Promise<{ client: net.Socket; socket: net.Socket }> {
  const server = net.createServer(options)
  const host = over === 'IPv6' ? '::1' : '127.0.0.1'
  await once(server.listen(over === 'UNIX' ? { path: join(scratch(t), 's') } : { host, port: 0 }), 'listening')
  const address = server.address() as net.AddressInfo | string
  const to = typeof address === 'string' ? { path: address } : { host, port: address.port }
  const client = net.connect({ ...to, ...options } as net.NetConnectOpts)
  const [socket] = (await once(server, 'connection')) as [net.Socket]
  if (client.connecting) await once(client, 'connect')
  server.close()
  for (const end of [client, socket]) ended(t, end)
  return { client, socket }
}

/** Destroys a socket with the test. */
export function ended<Socket extends net.Socket>(t: TestContext, socket: Socket): Socket {
  socket.on('error', () => {})
  t.after(() => socket.destroy())
  return socket
}

/** Collects what a socket receives from now on. */
export function collect(socket: net.Socket): { text(): string; ended: boolean } {
  let text = ''
  const collected = { text: () => text, ended: false }
  socket.on('data', (bytes: Buffer) => {
    text += bytes.toString('latin1')
  })
  socket.on('end', () => {
    collected.ended = true
  })
  return collected
}
