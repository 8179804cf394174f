// The receiving process of bench/move.mjs: takes live sockets, says a byte on each, counts them, and drops them.
import { pathToFileURL } from 'node:url'
import { built } from './compile.mjs'

let sockets = []

function take(socket, answer) {
  socket.on('error', () => {}) // its client drops it in the end
  if (answer) socket.write('x')
  sockets.push(socket)
}

/** How many came; they are dropped once that is told. */
function count() {
  const { length } = sockets
  const told = sockets
  sockets = []
  setTimeout(() => {
    for (const socket of told) socket.destroy()
  }, 10)
  return length
}

if (process.argv[2] === 'child.send') {
  process.on('message', (message, socket) => {
    if (socket) take(socket, message.answer)
    else process.send(count())
  })
  process.send('ready')
} else {
  const { inherited } = await import(pathToFileURL(built('index.js')).href)
  const channel = inherited()
  for await (const { message, things } of channel) {
    if (things.length === 0) await channel.send(count())
    else for (const socket of things) take(socket, message.answer)
  }
}
