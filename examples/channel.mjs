// A master accepts, greets, and hands each connection to a child process, with what has been read of it already. If the
// child ends, another is started; connections that it has not taken are answered here.
import { once } from 'node:events'
import net from 'node:net'
import { inherited, spawn } from 'handover'

if (process.argv[2] === 'child') {
  // Whatever way the channel was made, this is how things are taken from it.
  for await (const { message, things } of inherited()) {
    const [socket] = things
    socket.on('error', () => {}) // its client is gone
    socket.write(`hello ${message.name}, process ${process.pid} here\n`)
    socket.on('data', (chunk) => socket.write(chunk))
  }
  process.exit()
}

let stopping = false
let channel = startChild()

function startChild() {
  const { channel } = spawn(process.execPath, [process.argv[1], 'child'])
  channel.once('close', () => {
    if (!stopping) setTimeout(() => restart(), 100) // a pause, for a child that ends at once each time
  })
  return channel
}

function restart() {
  if (!stopping) channel = startChild()
}

const server = net.createServer((socket) => {
  socket.on('error', () => {})
  socket.write('who is there?\n')
  socket.once('readable', () => greet(socket))
})

async function greet(socket) {
  const line = String(socket.read() ?? '')
  const end = line.indexOf('\n')
  if (end < 0) return socket.end('a whole line, please\n').resume()
  socket.unshift(Buffer.from(line.slice(end + 1))) // what came behind the name is the child's
  try {
    await channel.send({ name: line.slice(0, end) }, [socket], { timeout: 5000 })
    // From here on this process has nothing to do with the connection.
  } catch (error) {
    socket.end(`nobody is here now: ${error.code}\n`).resume() // it is ours again, as it was
  }
}

server.listen(0, '127.0.0.1')
await once(server, 'listening')
console.log(`listening on 127.0.0.1:${server.address().port}`)

process.once('SIGTERM', () => {
  stopping = true
  server.close()
  channel.close()
})
