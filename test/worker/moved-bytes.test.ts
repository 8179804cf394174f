/** What a hand-over does to the bytes of a connection, and to its end: nothing. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type net from 'node:net'
import test, { type TestContext } from 'node:test'
import { connect, inParallel } from '../support/client.js'
import { isAlive } from '../support/command.js'
import { noLeak } from '../support/descriptors.js'
import { isStopped } from '../support/keepers.js'
import { fault, numbered } from '../support/numbered.js'
import { passing, type Talk, talk, workerOf } from '../support/passing.js'
import { closed, heard, program, said } from '../support/programs.js'
import { type Supervised, supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

const href = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href)

/**
 * Hands each connection over when it has read as many bytes as its client said first, and writes as many as it reads, of a
 * stream of its own. What it has read beyond goes as `unread`, or is given back to the socket.
 */
const NUMBERED = `
  import net from 'node:net'
  import { handOver, onHandOver } from ${href('../../src/index.js')}
  import { fault, numbered } from ${href('../support/numbered.js')}

  function serve(socket, state, leaves) {
    const read = (piece) => {
      const rest = leaves ? piece.subarray(state.at - state.rx) : Buffer.alloc(0)
      const part = piece.subarray(0, piece.length - rest.length)
      const wrong = fault(state.id, state.rx, part)
      if (wrong !== null) say('wrong', wrong)
      state.rx += part.length
      socket.write(numbered(state.id + 1_000, state.tx, part.length))
      state.tx += part.length
      if (!leaves || state.rx < state.at) return
      socket.off('data', read)
      if (state.gives) socket.pause().unshift(rest)
      const options = { as: 'numbered', state, ...(state.gives ? {} : { unread: rest }) }
      handOver(socket, options).catch((error) => say('wrong', String(error)))
    }
    socket.on('error', (error) => say('wrong', String(error))).on('data', read)
    return read
  }

  net.createServer((socket) => {
    socket.once('readable', () => {
      const head = socket.read(5) // small enough to come at once
      const state = { id: head.readUInt16LE(0), at: head.readUInt16LE(2), gives: head[4] === 1, rx: 0, tx: 0 }
      serve(socket, state, true)(Buffer.alloc(0))
    })
  }).listen(0, '127.0.0.1')
  onHandOver('numbered', (socket, state) => serve(socket, state, false))`

/** How many bytes go each way. */
const LENGTH = 120

test('handed over after any number of bytes, none is lost, doubled or reordered, in either direction', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, NUMBERED), workers: 2 })
  const cases = Array.from({ length: LENGTH + 1 }, (_, at) => at).flatMap((at) =>
    [0, 1].flatMap((gives) =>
      ['at once', 'cut there', 'cut before', 'byte by byte'].map((way) => ({ at, gives, way })),
    ),
  )
  await inParallel(cases.length, 24, async (id) => {
    const { at, gives, way } = cases[id] as (typeof cases)[number]
    const socket = await connect({ port: app.port })
    t.after(() => socket.destroy())
    socket.setNoDelay(true)
    let came = 0
    let wrong: string | null = null
    socket.on('data', (piece: Buffer) => {
      wrong ??= fault(id + 1_000, came, piece)
      came += piece.length
    })
    const head = Buffer.alloc(5)
    head.writeUInt16LE(id, 0)
    head.writeUInt16LE(at, 2)
    head[4] = gives
    const cut = way === 'at once' ? LENGTH : way === 'cut there' ? at : Math.max(0, at - 1)
    socket.write(Buffer.concat([head, numbered(id, 0, way === 'byte by byte' ? 0 : cut)]))
    if (way === 'byte by byte') for (let i = 0; i < LENGTH; i++) socket.write(numbered(id, i, 1))
    else socket.write(numbered(id, cut, LENGTH - cut))
    const what = `${at} bytes, ${way}, the rest ${gives ? 'given back' : 'unread'}`
    const done = (): boolean => came >= LENGTH || wrong !== null || socket.readableEnded || socket.destroyed
    await until(what, done).catch((error: Error) => assert.fail(`${error.message}: ${came} came`))
    assert.deepEqual([wrong, came, socket.readableEnded], [null, LENGTH, false], what)
    socket.destroy()
  })
  assert.deepEqual(said(app, 'wrong'), [])
  const total = (): number => app.supervisor.status().workers.reduce((sum, worker) => sum + worker.total, 0)
  await until('each was handed over once', () => total() === 2 * cases.length).catch(() => {})
  assert.equal(total(), 2 * cases.length, 'each was handed over once')
})

test('bytes read before the hand-over come before any later byte, wherever they were', async (t) => {
  noLeak(t)
  const app = await passing(t)
  const { say, hears, lines, socket } = await talk(t, app.port)
  socket.setNoDelay(true)
  say('hello')
  let at = workerOf(await hears(1))
  const told = ['0 hello']
  for (let round = 1; round <= 20; round++) {
    const to = { as: 'lines', to: { worker: String(3 - at) } }
    // The first is read with the order, the others come while it is on its way, or are in the kernel.
    socket.write(`${JSON.stringify(to)}\n${round} read\n${round} half`)
    socket.write(`-read\n`)
    socket.write(`${round} later\n`)
    at = 3 - at
    await hears(told.length + 3)
    for (const word of ['read', 'half-read', 'later']) told.push(`${round} ${word}`)
  }
  assert.deepEqual(
    lines.slice(1).map((line) => line.split(':')[2]),
    told.slice(1),
  )
})

test('close after the hand-over sends no FIN: a client sees the end that the new owner makes, and no other', async (t) => {
  noLeak(t)
  const script = program(
    t,
    `import net from 'node:net'
    import { handOver, onHandOver } from ${href('../../src/index.js')}
    net.createServer((socket) => {
      socket.once('data', async () => {
        socket.write('old ')
        await handOver(socket, { as: 'ends' })
        socket.end('never').destroy() // of no use any more
        say('gave', process.pid)
      })
    }).listen(0, '127.0.0.1')
    onHandOver('ends', (socket) => socket.on('data', (word) => (String(word) === 'end' ? socket.end('bye') : socket.write('new '))))`,
  )
  const app = await supervise(t, { script, workers: 2 })
  const socket = await connect({ port: app.port })
  t.after(() => socket.destroy())
  let text = ''
  socket.on('data', (piece) => {
    text += piece
  })
  socket.write('go')
  const [old] = await heard<number>(app, 'gave')
  socket.write('more')
  await until('the new owner answers', () => text === 'old new ')
  process.kill(old as number, 'SIGKILL') // whatever it still had of the connection goes with it
  await until('it is gone', () => !isAlive(old as number))
  socket.write('again')
  await until('the new owner answers again', () => text === 'old new new ')
  assert.equal(socket.readableEnded, false)
  socket.write('end')
  await closed(socket)
  assert.equal(text, 'old new new bye')
})

/** A client of the first worker, whose connection is offered to the second, which has stopped. */
async function onItsWay(t: TestContext, app: Supervised): Promise<{ client: Talk; sender: number; other: number }> {
  let client = await talk(t, app.port)
  for (client.say('hello'); workerOf(await client.hears(1)) !== 1; client.say('hello')) {
    client.socket.destroy()
    client = await talk(t, app.port)
  }
  const [sender, other] = app.pids() as [number, number]
  process.kill(other, 'SIGSTOP')
  await until('it has stopped', () => isStopped(readFileSync(`/proc/${other}/stat`, 'utf8')))
  client.say(`${JSON.stringify({ as: 'lines', to: { worker: '2' } })}\nbehind`)
  await until('the worker is offered it', () => app.supervisor.status().workers[1]?.unclaimed === 1)
  return { client, sender, other }
}

const leaving: [how: string, leave: (socket: net.Socket) => unknown][] = [
  ['ends', (socket) => socket.destroy()],
  ['resets', (socket) => socket.resetAndDestroy()],
]

for (const [how, leave] of leaving) {
  for (const received of [true, false]) {
    const who = received ? 'by who receives it' : 'by who has it back'
    test(`a client that ${how} its connection before it is received is closed quietly, ${who}`, async (t) => {
      noLeak(t)
      const app = await passing(t)
      const { client, other } = await onItsWay(t, app)
      leave(client.socket)
      await closed(client.socket)
      process.kill(other, received ? 'SIGCONT' : 'SIGKILL')
      await heard(app, received ? 'gave' : 'kept')
      const open = (): number => app.supervisor.status().workers.reduce((sum, one) => sum + one.open + one.unclaimed, 0)
      await until('nothing is open', () => open() === 0)
      const others = app.lines.filter((line) => !/^\{"what":"(gave|took|kept)"/.test(line))
      assert.deepEqual(others, [], 'nobody complains')
    })
  }
}
