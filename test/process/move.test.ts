/** Live connections move between two processes while their clients, in this one, go on. Linux: counts in /proc. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import net from 'node:net'
import test, { type TestContext } from 'node:test'
import { descriptorOfSocket } from '../../src/runtime/node-sockets.js'
import { setsockopt } from '../../src/sendmsg/index.js'
import { inParallel } from '../support/client.js'
import { hasIpv6 } from '../support/control.js'
import { assertSockets, noLeak, socketCount } from '../support/descriptors.js'
import { fault, numbered } from '../support/numbered.js'
import { fixture, scratch } from '../support/paths.js'
import { type ChannelPeer, watched } from '../support/peers.js'
import { until } from '../support/wait.js'

/** As in test/fixtures/moves-connections.mjs. */
const manners = { eager: 0, piecemeal: 1, paused: 2, flushed: 3, refused: 4, serverEnds: 5, clientEnds: 6 } as const
type Manner = keyof typeof manners

const CONNECTIONS = 1_000
const MOVES = 6
/** Half of them have more to send than the kernel takes, when they are to move. */
const MIX: Manner[] = ['flushed', 'refused', 'eager', 'flushed', 'refused', 'piecemeal', 'paused', 'flushed', 'refused']
MIX.push('eager', 'flushed', 'refused', 'piecemeal', 'paused', 'refused', 'serverEnds', 'flushed', 'clientEnds')

/** A client that writes and checks numbered bytes, and notes whatever it should not see. */
class Client {
  sent = 0
  received = 0
  ended = false
  gone = false
  /** The end of the other side is expected from now on. */
  mayEnd = false
  readonly seen: string[] = []

  constructor(
    readonly id: number,
    readonly manner: Manner,
    readonly socket: net.Socket,
  ) {
    const note = (what: string): void => {
      if (!this.gone && !(what === 'end' && this.mayEnd)) this.seen.push(`client ${id} (${manner}): ${what}`)
    }
    socket.on('error', (error) => note(String(error)))
    socket.on('end', () => {
      note('end')
      this.ended = true
    })
    const slow = manner === 'flushed' || manner === 'refused'
    if (slow && socket.remoteFamily !== undefined) setsockopt(descriptorOfSocket(socket), 'SO_RCVBUF', 32_768)
    this.mayEnd = manner === 'serverEnds'
    socket.write(Buffer.from([id & 255, id >> 8, manners[manner]]))
  }

  /** Reads what is there, and writes a piece, at another rate for each. */
  work(turn: number, reads: boolean): void {
    if (this.gone) return
    const piece = reads ? (this.socket.read() as Buffer | null) : null
    if (piece !== null) {
      const wrong = fault(this.id + 2_000, this.received, piece)
      if (wrong !== null) this.seen.push(`at the client, ${wrong}`)
      this.received += piece.length
    }
    if (this.socket.writableEnded || this.socket.writableNeedDrain || (turn + this.id) % (2 + (this.id % 11)) > 0)
      return
    const count = 1 + ((this.id * 7 + turn * 31) % 4_000)
    this.socket.write(numbered(this.id, this.sent, count))
    this.sent += count
  }

  /** Goes without a word. */
  vanish(): void {
    this.gone = true
    if (this.id % 2 === 0 && this.socket.remoteFamily !== undefined) this.socket.resetAndDestroy()
    else this.socket.destroy()
  }
}

function mover(t: TestContext, how: string, folder: string): ChannelPeer {
  const args = [fixture('moves-connections.mjs'), how, folder]
  return watched(t, spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'] }))
}

const order = (process: ChannelPeer, what: string): void => void process.child.stdin?.write(`${what}\n`)

test('a thousand live connections move there and back, in use: no byte is lost, doubled or reordered', async (t) => {
  noLeak(t)
  const folder = scratch(t)
  const first = mover(t, 'listen', folder)
  const [ip4, ip6, path] = await first.hears<[net.AddressInfo, net.AddressInfo, string]>('listening')
  const second = mover(t, 'connect', folder)
  await Promise.all([first.hears('ready'), second.hears('ready')])
  const processes = [first, second]
  const before = processes.map(({ pid }) => socketCount(pid))
  const places = [ip4, { path }, ...(hasIpv6 ? [{ port: ip6.port, host: '::1' }] : [])]

  const clients: Client[] = []
  t.after(() => {
    for (const { socket } of clients) socket.destroy()
  })
  await inParallel(CONNECTIONS, 100, async (id) => {
    const socket = net.connect({ ...(places[id % places.length] as { path: string }), allowHalfOpen: true })
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    clients.push(new Client(id, MIX[id % MIX.length] as Manner, socket))
  })
  const holding = { now: false }
  let turn = 0
  const clock = setInterval(() => {
    turn++
    for (const client of clients) client.work(turn, !(holding.now && client.manner === 'refused'))
  }, 15)
  t.after(() => clearInterval(clock))

  const present = (): Client[] => clients.filter(({ gone }) => !gone)
  const wrong = (): string[] => [
    ...clients.flatMap(({ seen }) => seen),
    ...processes.flatMap((one) => one.said<string>('failed')),
    ...processes.flatMap(({ lines }) => lines.filter((line) => !line.startsWith('{"what"'))),
  ]
  const counted = async (): Promise<number[]> => {
    const counts: number[] = []
    for (const one of processes) {
      const asked = one.said('count').length
      order(one, 'count')
      counts.push(await one.hears<number>('count', asked + 1))
    }
    return counts
  }
  await until('all are accepted', async () => (await counted())[0] === CONNECTIONS)

  let refusals = 0
  for (let move = 0; move < MOVES; move++) {
    const [from, to] = move % 2 === 0 ? [first, second] : [second, first]
    const turns = Math.floor(move / 2) + 1
    holding.now = true
    order(from, 'move')
    for (const client of present()) if (client.manner === 'clientEnds' && client.id % 3 === move) client.socket.end()
    const [refused, full] = await from.hears<[number, number]>('refused', turns)
    assert.equal(refused, full, 'what still has output is refused when there is no time to flush, and nothing else is')
    refusals += refused
    for (const client of present()) if (client.id % 37 === move) client.vanish() // while they are on their way
    holding.now = false
    const moved = await from.hears('moved', turns)
    assert.deepEqual(moved, { late: 0, left: 0 }, wrong().slice(0, 3).join('\n'))
    const served = present().filter(({ manner }) => manner !== 'serverEnds')
    const had = new Map(served.map((client) => [client, client.received]))
    await until('the other serves them all', () => served.every((one) => one.received > (had.get(one) as number)))
    await until('those that are gone are noticed', async () => {
      const counts = await counted()
      return counts[processes.indexOf(to)] === present().length && counts[processes.indexOf(from)] === 0
    })
    await assertSockets(from.pid, before[processes.indexOf(from)] as number, `move ${move}: nothing is left`)
    await assertSockets(
      to.pid,
      (before[processes.indexOf(to)] as number) + present().length,
      `move ${move}: none misses`,
    )
    assert.deepEqual(wrong(), [], `after move ${move}`)
  }
  assert.ok(refusals > CONNECTIONS, `enough were refused at first: ${refusals}`)

  for (const client of present()) client.mayEnd = true
  for (const one of processes) order(one, 'stop')
  await Promise.all(processes.map((one) => one.hears('stopped')))
  for (const { socket } of present()) socket.end()
  await until('every client has seen the end', () => present().every(({ ended }) => ended), 20_000)
  clearInterval(clock)
  const closed = (): Map<number, [number, number]> =>
    new Map(processes.flatMap((one) => one.said<[number, number, number]>('closed')).map(([id, ...sums]) => [id, sums]))
  await until('every connection is closed', () => closed().size === CONNECTIONS)
  assert.deepEqual(
    present().map(({ id }) => closed().get(id)),
    present().map(({ sent, received }) => [sent, received]),
    'what one side has written the other has read, to the last byte',
  )
  assert.deepEqual(wrong(), [])
  for (const [index, { pid }] of processes.entries()) await assertSockets(pid, before[index] as number, 'in the end')
})
