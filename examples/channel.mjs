// A master accepts, greets, and hands each connection to a child process, with what has been read of it already.
import { once } from 'node:events'
import net from 'node:net'
import { inherited, spawn } from 'handover'

if (process.argv[2] === 'child') {
  // Whatever way the channel was made, this is how things are taken from it.
  for await (const { message, things } of inherited()) {
    const [socket] = things
    socket.write(`hello ${message.name}, process ${process.pid} here\n`)
    socket.on('data', (chunk) => socket.write(chunk))
  }
  process.exit()
}

const { channel } = spawn(process.execPath, [process.argv[1], 'child'])

const server = net.createServer((socket) => {
  socket.write('who is there?\n')
  socket.once('readable', async () => {
    const line = String(socket.read())
    const end = line.indexOf('\n')
    if (end < 0) return socket.end('a whole line, please\n')
    socket.unshift(Buffer.from(line.slice(end + 1))) // what came behind the name is the child's
    await channel.send({ name: line.slice(0, end) }, [socket])
    // From here on this process has nothing to do with the connection.
  })
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
console.log(`listening on 127.0.0.1:${server.address().port}`)

process.once('SIGTERM', () => {
  server.close()
  channel.close()
})
