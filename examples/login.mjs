// A login: this process asks who is there, and hands the connection to the worker that has all sessions of that user, with
// what was typed ahead. From then on it has no part in it.
//     node examples/login.mjs 7000     (and then: nc 127.0.0.1 7000; ann's password is "apple", ben's is "bean")
import { once } from 'node:events'
import net from 'node:net'
import { createInterface } from 'node:readline'
import { onHandOver, Supervisor } from 'handover'

await (process.env.HANDOVER_WORKER === undefined ? greet() : work())

async function greet() {
  const users = new Map(Object.entries({ ann: 'apple', ben: 'bean' })) // yours has hashes
  const supervisor = new Supervisor({ script: process.argv[1], workers: 3 })
  await supervisor.start()
  while (!supervisor.status().workers.every(({ ready }) => ready)) await once(supervisor, 'ready') // for keys: all of them
  const server = net.createServer(async (socket) => {
    socket.on('error', () => {}).setTimeout(60_000, () => socket.destroy())
    try {
      const user = await ask(socket, 'user: ')
      if (users.get(user) !== (await ask(socket, 'password: '))) return socket.end('no\n').resume()
      await supervisor.handOver(socket, { as: 'session', state: { user }, to: { key: user } })
    } catch (error) {
      socket.end(`${error.message}\n`).resume() // it is ours still
    }
  })
  await once(server.listen(Number(process.argv[2] ?? 7000), '127.0.0.1'), 'listening')
  console.log(`listening on 127.0.0.1:${server.address().port}`)
  process.once('SIGTERM', () => server.close() && supervisor.stop(1_000))
}

function ask(socket, question) {
  socket.write(question)
  return new Promise((resolve, reject) => {
    let text = Buffer.alloc(0)
    const read = (piece) => {
      text = Buffer.concat([text, piece])
      const end = text.subarray(0, 256).indexOf('\n')
      if (end < 0 && text.length < 256) return
      socket.pause().off('data', read)
      if (end < 0) return reject(new Error('that is no name, and no password'))
      socket.unshift(text.subarray(end + 1)) // typed ahead: for the next question, or for the worker
      resolve(String(text.subarray(0, end)).trim())
    }
    socket.once('close', () => reject(new Error('gone')))
    socket.on('data', read).resume()
  })
}

function work() {
  const sessions = new Map() // all of a user, wherever they came from
  onHandOver('session', (socket, { user }) => {
    const own = (sessions.get(user) ?? new Set()).add(socket)
    sessions.set(user, own)
    socket.on('error', () => {}).once('close', () => own.delete(socket))
    socket.write(`hello ${user}, session ${own.size} in process ${process.pid}\n`)
    createInterface({ input: socket }).on('line', (line) => {
      for (const each of own) each.write(`${user}: ${line}\n`)
    })
  })
}
