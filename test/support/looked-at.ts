import type net from 'node:net'
import type { TestContext } from 'node:test'
import { Handshake, type Setback } from '../../src/handshake/handshake.js'
import { type HandshakeOptions, settleHandshake } from '../../src/handshake/options.js'
import { close } from '../../src/syscalls/descriptor.js'
import { recvmsg } from '../../src/syscalls/message.js'
import type { ArrivalNote } from '../../src/transport/arrival-note.js'
import { ListeningPort } from '../../src/transport/listening-port.js'
import { connect } from './client.js'
import { noLeak } from './descriptors.js'

export interface Decided {
  descriptor: number
  note: ArrivalNote
}

export interface LookedAt {
  handshake: Handshake
  decided: Decided[]
  setbacks: { setback: Setback; reason: string; peer: string | undefined }[]
  /** Connections that the port accepted. */
  accepted(): number
  client(first?: string | Buffer): Promise<net.Socket>
  /** What the kernel has of a decided connection: nobody has read it. */
  unread(index?: number): string
  port: number
}

/** A port whose connections are looked at, in this process; what is decided is kept until the test ends. */
export function lookedAt(t: TestContext, options: HandshakeOptions): LookedAt {
  noLeak(t)
  const decided: Decided[] = []
  const setbacks: LookedAt['setbacks'] = []
  const clients: net.Socket[] = []
  const port = ListeningPort.open({ host: '127.0.0.1', port: 0 })
  const handshake = new Handshake(settleHandshake(options), {
    decided: (descriptor, note) => void decided.push({ descriptor, note }),
    settled: () => {},
    setback: (setback, reason, { peer }) => void setbacks.push({ setback, reason, peer: peer?.address }),
  })
  let accepted = 0
  port.watch(() => {
    const count = port.accept(64)
    accepted += count
    handshake.admit(port.batch, count)
  })
  const { port: number } = port.address as { port: number }
  t.after(() => {
    for (const client of clients) client.destroy()
    handshake.close()
    port.close()
    for (const { descriptor } of decided) close(descriptor)
  })
  return {
    handshake,
    decided,
    setbacks,
    accepted: () => accepted,
    port: number,
    async client(first) {
      const client = await connect({ port: number })
      client.on('error', () => {})
      clients.push(client)
      if (first !== undefined) client.write(first)
      return client
    },
    unread(index = 0) {
      const buffer = Buffer.alloc(256 * 1024)
      const count = recvmsg((decided[index] as Decided).descriptor, buffer, 0, 0)
      return buffer.toString('latin1', 0, Math.max(0, count))
    },
  }
}
