// Clients that mean no good: `node clients.mjs <kind> <port> <count>`. Says `ready` when all are at it, and ends with
// its standard input, saying as JSON what became of them: `came` connections, and `wrong` ones, which met what they
// should not have (an end, an answer, or none).
import net from 'node:net'

const [kind, port, count] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])]
/** Addresses they come from, as one has some 28,000 ports; 127.0.0.1 is the ordinary clients'. */
const ADDRESSES = 16
const SECOND = 1000
/** Connections that are made at a time: more would overrun the queue of the port, and wait a second to be let in. */
const AT_ONCE = 200

let came = 0
let wrong = 0
let ending = false
const open = new Set()

/** @param ended  hears the end of the connection, and whether anything was said to it */
function connect(connected, ended = () => {}) {
  const socket = net.connect({ port, host: '127.0.0.1', localAddress: `127.0.0.${2 + (came % ADDRESSES)}` })
  came += 1
  let answered = false
  open.add(socket)
  socket.once('connect', () => connected(socket)).on('error', () => {})
  socket.on('data', () => {
    answered = true
  })
  socket.once('close', () => {
    open.delete(socket)
    if (!ending) ended(answered)
  })
  return socket
}

/** What none of them should meet. */
function fault() {
  wrong += 1
}

/** They connect, and say nothing. Each is to be let. */
function silent() {
  let connected = 0
  const next = () => {
    connected += 1
    if (connected === count) ready()
    if (came < count) connect(next, fault)
  }
  for (let i = 0; i < Math.min(count, AT_ONCE); i++) connect(next, fault)
}

/** They send a request a byte a second, and before it is whole another. */
function slow() {
  const request = `GET /${'a'.repeat(200)} HTTP/1.1\r\n`
  const one = (after) => {
    let sent = 0
    const timer = { id: null }
    const send = (socket) => {
      if (sent === request.length) return socket.destroy()
      socket.write(request[sent])
      sent += 1
    }
    connect(
      (socket) => {
        // Spread over the second, as they would be.
        timer.id = setTimeout(() => {
          send(socket)
          timer.id = setInterval(send, SECOND, socket)
        }, after)
      },
      (answered) => {
        clearInterval(timer.id)
        if (sent < request.length || answered) wrong += 1
        one(0)
      },
    )
  }
  for (let i = 0; i < count; i++) one((i * SECOND) / count)
  setTimeout(ready, SECOND)
}

/** They send 64 KiB of a head that has no end, and come again as soon as they are turned away, which they are to be. */
function endless() {
  const head = Buffer.from(`GET / HTTP/1.1\r\nX: ${'a'.repeat(64 * 1024)}`)
  const one = () =>
    connect(
      (socket) => socket.write(head),
      (answered) => {
        if (answered) wrong += 1
        one()
      },
    )
  for (let i = 0; i < count; i++) one()
  setTimeout(ready, SECOND / 2)
}

/** So many a second claim to be somebody else, which is to get them no answer. */
function pretending() {
  const words = 'PROXY TCP4 203.0.113.9 198.51.100.7 50123 80\r\nGET / HTTP/1.1\r\nHost: a.example\r\n\r\n'
  setInterval(() => {
    connect(
      (socket) => socket.end(words),
      (answered) => {
        if (answered) wrong += 1
      },
    )
  }, SECOND / count)
  setTimeout(ready, SECOND / 2)
}

function ready() {
  process.send('ready')
}

process.on('message', () => process.send({ came, wrong })) // at any time
process.on('disconnect', () => {
  ending = true
  for (const socket of open) socket.resetAndDestroy()
  setImmediate(() => process.exit(0))
})

;({ silent, slow, endless, pretending })[kind]()
