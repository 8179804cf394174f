// The clients of bench/move.mjs: opens as many connections as it is told, or drops them all.
import net from 'node:net'

const port = Number(process.argv[2])
let sockets = []

process.on('message', (count) => {
  if (count > 0) return open(count)
  for (const socket of sockets) socket.resetAndDestroy() // no TIME_WAIT: the next round needs the ports
  sockets = []
  process.send('dropped')
})

function open(count) {
  for (let i = 0; i < count; i++) {
    const socket = net.connect(port, '127.0.0.1')
    socket.on('error', () => {})
    sockets.push(socket)
  }
}
