// Accepts HTTP connections in one process and answers them in others: `node examples/pass-connection.mjs`
// What has not been read travels with the descriptor: the kernel has it. The master never sees a byte of a request.
import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import {
  AF_INET,
  accept,
  bind,
  getsockname,
  listen,
  readable,
  recvmsg,
  rights,
  sendmsg,
  socket,
  socketpair,
  takeDescriptors,
  writable,
} from 'handover/sendmsg'

const SELF = fileURLToPath(import.meta.url)
/** Where a worker finds its end of the socket pair: behind the three standard streams. */
const CHANNEL = 3
const REQUESTS = 4

function startWorker() {
  const [ours, theirs] = socketpair()
  spawn(process.execPath, [SELF, 'worker'], { stdio: ['ignore', 'inherit', 'inherit', theirs.fd] })
  theirs.close() // the worker has its own copy: it sees the end when ours is closed
  return ours
}

async function master() {
  const listener = socket(AF_INET)
  bind(listener, { address: '127.0.0.1', port: 0 })
  listen(listener)
  const workers = [startWorker(), startWorker()]
  const { port } = getsockname(listener)
  const answers = Promise.all(Array.from({ length: REQUESTS }, () => fetch(`http://127.0.0.1:${port}/`)))
  for (let passed = 0; passed < REQUESTS; ) {
    const accepted = accept(listener)
    if (accepted === null) {
      await readable(listener)
      continue
    }
    const worker = workers[passed++ % workers.length]
    // At least one byte goes with a descriptor; what it says is up to the program.
    while (sendmsg(worker, Buffer.from('!'), [rights([accepted.descriptor])]) === null) await writable(worker)
    accepted.descriptor.close() // the worker's copy lives on
  }
  const texts = await Promise.all((await answers).map((answer) => answer.text()))
  console.log(`${REQUESTS} requests were answered by ${new Set(texts).size} workers`)
  for (const descriptor of [...workers, listener]) descriptor.close()
}

async function worker() {
  const server = createServer((_request, response) => {
    response.writeHead(200, { connection: 'close' }).end(`worker ${process.pid}`)
  })
  for (;;) {
    const message = recvmsg(CHANNEL, 1, rights.space)
    if (message === null) {
      await readable(CHANNEL)
      continue
    }
    if (message.data.length === 0) return // the master is gone
    for (const connection of takeDescriptors(message.ancillary)) {
      // From here on the net.Socket closes it: it gets the number, and the Descriptor is released.
      server.emit('connection', new Socket({ fd: connection.release(), readable: true, writable: true }))
    }
  }
}

await (process.argv[2] === 'worker' ? worker() : master())
