import assert from 'node:assert/strict'
import type net from 'node:net'
import type { TestContext } from 'node:test'
import { Handshake, type HandshakeOwner } from '../../src/handshake/handshake.js'
import { type HandshakeOptions, settleHandshake } from '../../src/handshake/options.js'
import { close } from '../../src/syscalls/descriptor.js'
import { ListeningPort } from '../../src/transport/listening-port.js'
import { connect } from './client.js'
import { noLeak } from './descriptors.js'

export interface Admitted {
  handshake: Handshake
  /** The groups of what was decided. */
  decided: string[]
  setbacks: string[]
  /** Admits one batch: clients that have said something each. */
  admit(...words: string[]): Promise<net.Socket[]>
}

/** A handshake whose batches are admitted by hand; what is decided is closed. */
export function byHand(t: TestContext, options: HandshakeOptions, owner: Partial<HandshakeOwner> = {}): Admitted {
  noLeak(t)
  const decided: string[] = []
  const setbacks: string[] = []
  const port = ListeningPort.open({ host: '127.0.0.1', port: 0 })
  const handshake = new Handshake(settleHandshake(options), {
    decided: (descriptor, { route }) => {
      decided.push(route.group ?? '')
      close(descriptor)
    },
    settled: () => {},
    setback: (setback) => void setbacks.push(setback),
    ...owner,
  })
  const { port: number } = port.address as { port: number }
  t.after(() => {
    handshake.close()
    port.close()
  })
  return {
    handshake,
    decided,
    setbacks,
    async admit(...words: string[]) {
      const clients: net.Socket[] = []
      for (const said of words) {
        const client = await connect({ port: number })
        client.on('error', () => {})
        t.after(() => client.destroy())
        clients.push(client)
        if (said !== '') await new Promise<void>((resolve) => client.write(said, () => resolve()))
      }
      const count = port.accept(64)
      assert.equal(count, words.length)
      handshake.admit(port.batch, count)
      return clients
    },
  }
}
