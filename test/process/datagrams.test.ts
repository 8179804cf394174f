/** UDP sockets go from process to process while datagrams come all the time. */
import assert from 'node:assert/strict'
import dgram from 'node:dgram'
import { once } from 'node:events'
import test, { type TestContext } from 'node:test'
import { hasIpv6, loopback, type Version } from '../support/control.js'
import { noLeak } from '../support/descriptors.js'
import { keeper, type Took } from '../support/keepers.js'
import { soon } from '../support/peers.js'
import { until } from '../support/wait.js'

/** Datagrams on their way at once: fewer than the kernel's queue holds. */
const ON_THEIR_WAY = 100
const MOVES = 10

async function bound(t: TestContext, version: Version): Promise<dgram.Socket> {
  const socket = dgram.createSocket(`udp${version}`)
  closing(t, socket)
  socket.bind(0, loopback[version])
  await once(socket, 'listening')
  return socket
}

function closing(t: TestContext, socket: dgram.Socket): void {
  t.after(() => {
    try {
      socket.close()
    } catch {
      // it is closed, or another has it
    }
  })
}

/** Sends numbers, as long as most of them came back. */
class Stream {
  next = 0
  readonly back: number[] = []
  #ended = false

  constructor(
    readonly socket: dgram.Socket,
    readonly port: number | null,
    readonly host: string,
  ) {
    socket.on('message', (message) => this.back.push(Number(message)))
    const more = (): void => {
      for (let i = 0; i < 7 && !this.#ended && this.next - this.back.length < ON_THEIR_WAY; i++) {
        const number = String(this.next++)
        if (this.port === null) socket.send(number)
        else socket.send(number, this.port, host)
      }
      if (!this.#ended) setImmediate(more)
    }
    more()
  }

  /** Waits until so many more have come back. */
  async progress(count: number): Promise<void> {
    const aim = this.back.length + count
    await until(`${count} more datagrams come back`, () => this.back.length >= aim)
  }

  async end(): Promise<void> {
    this.#ended = true
    await until('all have come back', () => this.back.length === this.next).catch(() => {})
  }
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index)
const sorted = (list: number[]): number[] => [...list].sort((a, b) => a - b)

for (const version of hasIpv6 ? ([4, 6] as const) : ([4] as const)) {
  for (const connected of [false, true]) {
    const title = `IPv${version}${connected ? ', connected' : ''}`
    test(`a datagram socket moves back and forth in a stream: none is lost, none doubled, none late: ${title}`, async (t) => {
      noLeak(t)
      const peer = await keeper(t)
      const client = await bound(t, version)
      let socket = await bound(t, version)
      const place = socket.address()
      if (connected) {
        client.connect(place.port, place.address)
        socket.connect(client.address().port, client.address().address)
        await Promise.all([once(client, 'connect'), once(socket, 'connect')])
      }
      const remote = connected ? socket.remoteAddress() : null
      const heard: number[] = []
      const use = (one: dgram.Socket): void => {
        closing(t, one)
        one.on('message', (message, { port, address }) => {
          heard.push(Number(message))
          if (connected) one.send(message)
          else one.send(message, port, address)
        })
      }
      use(socket)
      const stream = new Stream(client, connected ? null : place.port, place.address)
      for (let move = 0; move < MOVES; move++) {
        await stream.progress(200)
        peer.order({ take: { use: 'note' } })
        await soon(peer.channel.send(move, [socket]))
        const { things } = await peer.hears<Took>('took', move + 1)
        assert.equal(things[0]?.kind, 'Socket')
        await stream.progress(200)
        peer.order({ give: {} })
        socket = (await soon(peer.channel.receive()))?.things[0] as dgram.Socket
        use(socket)
        assert.deepEqual(socket.address(), place)
        if (remote !== null) assert.deepEqual(socket.remoteAddress(), remote)
      }
      await stream.progress(200)
      if (connected) {
        const stranger = await bound(t, version)
        stranger.send('-1', place.port, place.address)
        await until('the stranger has sent', () => stranger.getSendQueueCount() === 0)
        await stream.progress(20)
      }
      await stream.end()
      peer.order({ heard: null })
      const there = await peer.hears<number[]>('heard')
      assert.deepEqual(sorted([...heard, ...there]), numbers(stream.next), 'each came once')
      assert.deepEqual(there, sorted(there), 'in order there')
      assert.deepEqual(heard, sorted(heard), 'in order here')
      assert.deepEqual(stream.back, numbers(stream.next), 'the answers, too')
      assert.deepEqual(peer.said('failed'), [])
      t.diagnostic(`${heard.length} came here, ${there.length} there`)
    })
  }
}

test('a stopped owner loses nothing of a datagram socket that the queue holds: it waits for the next owner', async (t) => {
  noLeak(t)
  const peer = await keeper(t)
  const client = await bound(t, 4)
  const socket = await bound(t, 4)
  const { port } = socket.address()
  process.kill(peer.pid, 'SIGSTOP')
  const sent = peer.channel.send('it', [socket])
  for (let i = 0; i < ON_THEIR_WAY; i++) client.send(String(i), port, '127.0.0.1')
  await until('they are sent', () => client.getSendQueueCount() === 0)
  process.kill(peer.pid, 'SIGCONT')
  peer.order({ take: { use: 'note' } })
  await soon(sent)
  await until('all have come', async () => {
    const asked = peer.said('heard').length
    peer.order({ heard: null })
    return (await peer.hears<number[]>('heard', asked + 1)).length === ON_THEIR_WAY
  })
  assert.deepEqual(peer.said<number[]>('heard').at(-1), numbers(ON_THEIR_WAY))
})
