/**
 * Descriptors per second from one process to another: `npm run bench:descriptors`, and at the end of `npm run bench`.
 *
 * What travels is always a live TCP connection, the same one again and again. A channel owns and closes what it is
 * given, so each is a fresh dup(2) there; `child.send` sends its socket with `keepOpen`, which saves it both calls.
 */
import { execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { argv } from 'node:process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { compiled, inside } from './compile.mjs'
import { cell, median, rotated, spread, table } from './table.mjs'

const RECEIVER = fileURLToPath(new URL('receiver.mjs', import.meta.url))
/** The most that one message can carry. */
const BATCH = 253
/** Descriptors on their way at a time: well below what a process may have open, enough never to wait for a claim. */
const WINDOW = 2 * BATCH
const WARM_UP_MS = 300

/** A contender counts what has arrived at the other side; its rate is read off that between two moments. */
async function rateOf(sender, milliseconds) {
  sender.go()
  await passed(WARM_UP_MS)
  const before = { count: sender.count(), at: performance.now() }
  await passed(milliseconds)
  const rate = ((sender.count() - before.count) / (performance.now() - before.at)) * 1000
  sender.rest()
  while (sender.pending() > 0) await passed(1)
  return rate
}

const passed = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))

/** @param batch  descriptors per message */
async function channelSender(name, socket, batch, mode) {
  const { spawnWithLink } = await import(pathToFileURL(inside('bootstrap/inherit.js')).href)
  const { closeMany, dup } = await import(pathToFileURL(inside('syscalls/descriptor.js')).href)
  const source = socket._handle.fd
  let taken = 0
  let running = false
  const pending = () => channel.queued + channel.unclaimed
  const pump = () => {
    // While something is queued the kernel has no room: what is taken then would share its message.
    while (running && channel.queued === 0 && channel.unclaimed + batch <= WINDOW && channel.room >= batch) {
      for (let i = 0; i < batch; i++) channel.take(dup(source), 1)
      taken += batch
      channel.flush()
    }
  }
  const { child, channel } = spawnWithLink(
    process.execPath,
    [RECEIVER, mode],
    {},
    { claimed: pump, drained: pump, closed: (_error, { descriptors }) => closeMany(descriptors) },
  )
  return {
    name,
    count: () => taken - pending(),
    pending,
    go() {
      running = true
      pump()
    },
    rest() {
      running = false
    },
    stop: async () => {
      const ended = once(child, 'exit')
      channel.close()
      await ended
    },
    ready: async () => {
      while (channel.peer === null) await passed(5)
    },
  }
}

function nodeSender(socket) {
  const child = fork(RECEIVER, ['child.send'])
  const ready = once(child, 'message')
  let sent = 0
  let waiting = 0
  let running = false
  const pump = () => {
    while (running && waiting < WINDOW) {
      waiting += 1
      child.send('', socket, { keepOpen: true }, done)
    }
  }
  const done = (error) => {
    if (error) throw error
    waiting -= 1
    sent += 1
    pump()
  }
  return {
    name: 'child.send(socket)',
    count: () => sent,
    pending: () => waiting,
    go() {
      running = true
      pump()
    },
    rest() {
      running = false
    },
    stop: async () => {
      const ended = once(child, 'exit')
      child.kill()
      await ended
    },
    ready: () => ready,
  }
}

/**
 * @param signal  ends it early, with an error
 * @returns every contender's rates, a list per name with one entry per round, and a table of them
 */
export async function measureDescriptors({ rounds, milliseconds = 1000, signal }) {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = net.connect(server.address().port, '127.0.0.1')
  await once(socket, 'connect')
  const senders = []
  const measured = {}
  try {
    senders.push(await channelSender('channel, one per message', socket, 1, 'close'))
    senders.push(await channelSender(`channel, ${BATCH} per message`, socket, BATCH, 'close'))
    senders.push(await channelSender(`channel, ${BATCH} per message, adopted`, socket, BATCH, 'adopt'))
    senders.push(nodeSender(socket))
    for (const sender of senders) await sender.ready()
    const measures = [
      ...senders.map((sender) => ({ name: sender.name, rate: () => rateOf(sender, milliseconds) })),
      { name: 'C, one per message, no claims', rate: () => floor(1, milliseconds) },
      { name: `C, ${BATCH} per message, no claims`, rate: () => floor(BATCH, milliseconds) },
    ]
    for (const { name } of measures) measured[name] = []
    for (let round = 0; round < rounds; round++) {
      for (const { name, rate } of rotated(measures, round)) {
        signal?.throwIfAborted()
        measured[name].push(await rate())
      }
    }
  } finally {
    for (const sender of senders) await sender.stop()
    socket.destroy()
    server.close()
  }
  return { measured, text: `## Descriptors per second between two processes\n\n${ratesTable(measured)}\n` }
}

async function floor(count, milliseconds) {
  const { stdout } = await promisify(execFile)(compiled('passing'), [String(count), String(milliseconds)])
  return Number(stdout)
}

function ratesTable(measured) {
  const node = measured['child.send(socket)']
  const rows = Object.entries(measured).map(([name, rates]) => {
    const times = median(rates.map((rate, round) => rate / node[round]))
    return [name, cell(spread(rates)), times.toFixed(1)]
  })
  return table(['', 'descriptors/s', 'times child.send'], rows)
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { rounds: { type: 'string', default: '5' } } })
  console.log((await measureDescriptors({ rounds: Number(values.rounds) })).text)
}
