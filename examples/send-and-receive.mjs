// sendmsg and recvmsg in place of send and recv, over TCP: `node examples/send-and-receive.mjs`
// A length and a text go out from two buffers in one call, and come in to two buffers in one call.
import {
  AF_INET,
  accept,
  bind,
  connect,
  getsockname,
  listen,
  readable,
  recvmsgInto,
  SHUT_WR,
  sendmsg,
  shutdown,
  socket,
  writable,
} from 'handover/sendmsg'

const HEADER_BYTES = 4

/** Sends all of the buffers, however often the socket is full. */
async function send(descriptor, buffers) {
  const parts = [...buffers]
  while (parts.length > 0) {
    let sent = sendmsg(descriptor, parts)
    if (sent === null) await writable(descriptor)
    while (sent > 0 || parts[0]?.length === 0) {
      const taken = Math.min(sent, parts[0].length)
      parts[0] = parts[0].subarray(taken)
      sent -= taken
      if (parts[0].length === 0) parts.shift()
    }
  }
}

/** Fills all of the buffers. @returns false at the end of the stream */
async function receive(descriptor, buffers) {
  const parts = buffers.filter(({ length }) => length > 0)
  while (parts.length > 0) {
    const message = recvmsgInto(descriptor, parts)
    if (message === null) {
      await readable(descriptor)
      continue
    }
    if (message.bytes === 0) return false
    for (let { bytes } = message; bytes > 0; ) {
      const filled = Math.min(bytes, parts[0].length)
      parts[0] = parts[0].subarray(filled)
      bytes -= filled
      if (parts[0].length === 0) parts.shift()
    }
  }
  return true
}

async function serve(listener) {
  await readable(listener)
  const { descriptor, address } = accept(listener)
  console.log(`the server has a client from ${address.address}`)
  const header = Buffer.alloc(HEADER_BYTES)
  while (await receive(descriptor, [header])) {
    const text = Buffer.alloc(header.readUInt32BE())
    await receive(descriptor, [text])
    console.log(`the server received "${text}"`)
    await send(descriptor, [header, Buffer.from(text.toString().toUpperCase())])
  }
  descriptor.close()
}

async function ask(address, texts) {
  const descriptor = socket(AF_INET)
  if (!connect(descriptor, address)) await writable(descriptor)
  for (const text of texts) {
    const bytes = Buffer.from(text)
    const header = Buffer.alloc(HEADER_BYTES)
    header.writeUInt32BE(bytes.length)
    await send(descriptor, [header, bytes])
    const answer = Buffer.alloc(bytes.length)
    await receive(descriptor, [header, answer])
    console.log(`the client received "${answer}"`)
  }
  shutdown(descriptor, SHUT_WR)
  descriptor.close()
}

const listener = socket(AF_INET)
bind(listener, { address: '127.0.0.1', port: 0 })
listen(listener)
await Promise.all([serve(listener), ask(getsockname(listener), ['hello', 'a longer line'])])
listener.close()
