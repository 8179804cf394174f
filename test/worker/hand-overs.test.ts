/** What a worker is handed is its program's, however busy the link to the master is, and whatever the program does with it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type net from 'node:net'
import test from 'node:test'
import { Link } from '../../src/channel/link.js'
import { OffersSent } from '../../src/channel/offers-sent.js'
import { sendPacked } from '../../src/channel/send-over.js'
import { socketpair } from '../../src/syscalls/socket.js'
import { packing } from '../../src/transport/hand-over.js'
import { WINDOW } from '../../src/wire/hello.js'
import { type HandOverOwner, HandOvers } from '../../src/worker/hand-overs.js'
import { connect } from '../support/client.js'
import { connection, ended } from '../support/connections.js'
import { noLeak } from '../support/descriptors.js'
import { fakeKernel } from '../support/fake-kernel.js'
import { heard, program } from '../support/programs.js'
import { supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

const index = JSON.stringify(new URL('../../src/index.js', import.meta.url).href)
const nothing = (): void => {}

/** A worker that does nothing but take connections. */
const owner: HandOverOwner = {
  draining: false,
  objection: () => null,
  serverOf: () => undefined,
  adopted: nothing,
  finished: nothing,
  takes: nothing,
  given: nothing,
  settled: nothing,
}

const VERDICT = 9
const EAGAIN = -11

test('a connection that comes while the claim of another waits for room is claimed, too', async (t) => {
  noLeak(t)
  let blocked = true
  fakeKernel(t, {
    sendmsg: (real, socket, bytes, ...rest) =>
      blocked && bytes[4] === VERDICT ? EAGAIN : real(socket, bytes, ...rest),
  })
  let asked = 0
  const handOvers = new HandOvers({
    ...owner,
    get draining() {
      asked += 1
      return false
    },
  })
  const taken: net.Socket[] = []
  handOvers.take('x', (socket) => void taken.push(ended(t, socket)))
  const sent = new OffersSent(nothing)
  const [a, b] = socketpair()
  const right: Link = new Link(
    b,
    handOvers.handlers(() => right),
  )
  const left: Link = new Link(a, {
    opened: () => sent.open(left, WINDOW),
    answered: (verdict) => sent.answered(verdict),
  })
  t.after(() => {
    left.close()
    right.close()
  })
  const ends = [await connection(t), await connection(t)]
  const given = ends.map(({ socket }) =>
    sendPacked(sent, { type: 'handOver', as: 'x' }, packing(socket, { as: 'x' }), {}),
  )
  await until('both have come', () => asked === 2)
  blocked = false
  await until('both are taken', () => taken.length === 2)
  await Promise.all(given)
})

for (const how of ['onHandOver', 'a connection listener']) {
  test(`a program may listen in ${how} when it is handed a connection`, async (t) => {
    noLeak(t)
    const app = await supervise(t, {
      script: program(
        t,
        `import net from 'node:net'
        import { handOver, onHandOver } from ${index}
        const as = ${how === 'onHandOver' ? `'x'` : 'undefined'}
        const handed = new Set()
        const took = (socket) => {
          const server = net.createServer().on('error', (error) => say('failed', error.code)).listen(0)
          say('address', server.address()?.family ?? null)
          server.close()
          socket.end()
        }
        onHandOver('x', took)
        net.createServer((socket) => {
          if (process.env.HANDOVER_WORKER === '2') return took(socket)
          handOver(socket, { as }).catch((error) => say('stays', error.message))
        }).listen(0, '127.0.0.1')`,
      ),
      workers: 2,
      policy: () => '1',
    })
    const socket = ended(t, await connect({ port: app.port }))
    socket.resume()
    await once(socket, 'end')
    assert.deepEqual(await heard(app, 'address'), ['IPv6'])
  })
}

test('one whose client does not take its output holds up no other', async (t) => {
  noLeak(t)
  const app = await supervise(t, {
    script: program(
      t,
      `import net from 'node:net'
      import { handOver, onHandOver } from ${index}
      const serve = (socket) => socket.on('data', (data) => socket.write(data))
      onHandOver('x', serve)
      const open = []
      net.createServer((socket) => {
        open.push(socket)
        serve(socket)
        if (open.length === 1) socket.write('x'.repeat(32 * 1024 * 1024), () => say('sent'))
        if (open.length < 3) return
        for (const one of open) handOver(one, { as: 'x', flushTimeout: 60_000 }).then(() => say('gave'))
      }).listen(0, '127.0.0.1')`,
    ),
    workers: 2,
    policy: () => '1',
  })
  const [slow, ...others] = [
    ended(t, await connect({ port: app.port })),
    ended(t, await connect({ port: app.port })),
    ended(t, await connect({ port: app.port })),
  ] as const
  await heard(app, 'gave', 2)
  for (const socket of others) {
    socket.write('hello')
    assert.equal(String((await once(socket, 'data'))[0]), 'hello')
  }
  slow.resume()
  await heard(app, 'gave', 3)
  await heard(app, 'sent')
})

test('a server that has all the connections it may have is handed no more, and loses none', async (t) => {
  noLeak(t)
  const app = await supervise(t, {
    script: program(
      t,
      `import net from 'node:net'
      import { handOver } from ${index}
      const { HANDOVER_WORKER: worker } = process.env
      const server = net.createServer((socket) => {
        socket.write(worker)
        if (worker === '1') handOver(socket).then(() => say('gave'), (error) => say('stays', error.message))
      })
      server.maxConnections = 2
      server.listen(0, '127.0.0.1')`,
    ),
    workers: 2,
    policy: () => '1',
  })
  const sockets = []
  for (let i = 1; i <= 3; i++) {
    const socket = ended(t, await connect({ port: app.port }))
    sockets.push(socket)
    if (i < 3) await heard(app, 'gave', i)
  }
  const [why] = await heard<string>(app, 'stays')
  assert.match(why as string, /worker 2: the peer refused: its server has maxConnections/)
  assert.ok(sockets.every((socket) => !socket.readableEnded && !socket.destroyed))
})
