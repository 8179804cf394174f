/**
 * Live connections per second from one process to another, a `net.Socket` here to a `net.Socket` there, and how long one
 * takes until its first byte is served: `npm run bench:move`.
 *
 * The connections are distinct and alive: a third process holds their other ends. A sender's time ends when everything
 * is claimed (or, for `child.send`, when every callback has come) and the receiver has counted all of its sockets.
 */
import { execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { argv } from 'node:process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { built, compiled } from './compile.mjs'
import { cell, median, rotated, spread, table } from './table.mjs'

const RECEIVER = fileURLToPath(new URL('move-receiver.mjs', import.meta.url))
const CLIENTS = fileURLToPath(new URL('move-clients.mjs', import.meta.url))
const NODE = 'child.send(socket)'
const { spawn } = await import(pathToFileURL(built('index.js')).href)

/** Sockets on their way at a time: as many as a program lets go before it waits for the first. */
const ON_THEIR_WAY = 1024

/** @param batch  sockets in one send */
async function channelSender(name, batch) {
  const { child, channel } = spawn(process.execPath, [RECEIVER, 'channel'], {
    stdio: ['inherit', 'inherit', 'inherit'],
  })
  await channel.opened
  return {
    name,
    async move(sockets, message = {}) {
      const sends = []
      for (let first = 0; first < sockets.length; first += batch) {
        sends.push(channel.send(message, sockets.slice(first, first + batch)))
        if (sends.length * batch >= ON_THEIR_WAY) await sends.shift()
      }
      await Promise.all(sends)
    },
    async counted(count) {
      await channel.send({ count })
      const { message } = await channel.receive()
      if (message !== count) throw new Error(`${message} of ${count} sockets came`)
    },
    async stop() {
      const ended = once(child, 'exit')
      channel.close()
      await ended
    },
  }
}

async function nodeSender() {
  const child = fork(RECEIVER, ['child.send'])
  await once(child, 'message')
  return {
    name: NODE,
    async move(sockets, message = {}) {
      const sent = sockets.map(
        (socket) =>
          new Promise((resolve, reject) => {
            child.send(message, socket, (error) => (error ? reject(error) : resolve()))
          }),
      )
      await Promise.all(sent)
    },
    async counted(count) {
      const answer = once(child, 'message')
      child.send({ count })
      const [message] = await answer
      if (message !== count) throw new Error(`${message} of ${count} sockets came`)
    },
    async stop() {
      const ended = once(child, 'exit')
      child.kill()
      await ended
    },
  }
}

/** Live connections: their other ends are in a process of their own. */
async function connections() {
  const accepted = []
  let complete = () => {}
  let wanted = 0
  const server = net.createServer((socket) => {
    accepted.push(socket)
    if (accepted.length === wanted) complete()
  })
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 })
  await once(server, 'listening')
  const clients = fork(CLIENTS, [String(server.address().port)])
  return {
    async make(count) {
      wanted = count
      const made = new Promise((resolve) => {
        complete = resolve
      })
      clients.send(count)
      await made
      return accepted.splice(0)
    },
    async drop() {
      clients.send(0)
      await once(clients, 'message')
    },
    stop() {
      clients.disconnect()
      server.close()
    },
  }
}

async function rateOf(sender, source, count) {
  const sockets = await source.make(count)
  const start = performance.now()
  await sender.move(sockets)
  await sender.counted(count)
  const rate = (count / (performance.now() - start)) * 1000
  await source.drop()
  return rate
}

/** Milliseconds from the call that sends an idle connection until its client has the first byte the receiver wrote. */
async function latencyOf(sender, samples) {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const times = []
  for (let i = 0; i < samples; i++) {
    const accepted = once(server, 'connection')
    const client = net.connect(server.address().port, '127.0.0.1')
    const [socket] = await accepted
    await new Promise((resolve) => setTimeout(resolve, 2)) // idle
    const answered = once(client, 'data')
    const start = performance.now()
    const settled = sender.move([socket], { answer: true })
    await answered
    times.push(performance.now() - start)
    await settled
    client.destroy()
  }
  await sender.counted(samples)
  server.close()
  return median(times)
}

async function floor(count, milliseconds) {
  const { stdout } = await promisify(execFile)(compiled('passing'), [String(count), String(milliseconds)])
  return Number(stdout)
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '4000' },
    samples: { type: 'string', default: '300' },
  },
})

if (argv[1] === fileURLToPath(import.meta.url)) {
  const count = Number(values.connections)
  const source = await connections()
  const senders = [
    await channelSender('handover, one per send', 1),
    await channelSender('handover, 64 per send', 64),
    await channelSender('handover, 253 per send', 253),
    await nodeSender(),
  ]
  const rates = Object.fromEntries(senders.map(({ name }) => [name, []]))
  const times = Object.fromEntries(senders.map(({ name }) => [name, []]))
  const C = 'C, one per message: descriptors alone, no claims'
  rates[C] = []
  for (let warm = 0; warm < 4; warm++) for (const sender of senders) await rateOf(sender, source, count)
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const sender of rotated(senders, round)) rates[sender.name].push(await rateOf(sender, source, count))
    for (const sender of rotated(senders, round)) {
      times[sender.name].push(await latencyOf(sender, Number(values.samples)))
    }
    rates[C].push(await floor(1, 500))
  }
  for (const sender of senders) await sender.stop()
  source.stop()
  const rows = Object.entries(rates).map(([name, list]) => [
    name,
    cell(spread(list)),
    cell(spread(list.map((rate, round) => rate / rates[NODE][round])), 1),
    times[name] === undefined ? '' : cell(spread(times[name]), 3),
  ])
  console.log(`## Live connections from process to process\n`)
  console.log(table(['', 'connections/s', 'times child.send', 'ms to the first byte, median'], rows))
}
