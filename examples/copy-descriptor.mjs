// Copies a descriptor into another process: `node examples/copy-descriptor.mjs`
// The parent opens a file and passes it to its child, which never learns the path and reads it all the same.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import {
  CMSG_SPACE,
  Descriptor,
  readable,
  recvmsg,
  rights,
  sendmsg,
  socketpair,
  takeDescriptors,
} from 'handover/sendmsg'

const SELF = fileURLToPath(import.meta.url)
/** Where the child finds its end of the socket pair: behind the three standard streams. */
const SOCKET = 3

async function parent() {
  const [ours, theirs] = socketpair()
  const child = spawn(process.execPath, [SELF, 'child'], { stdio: ['ignore', 'inherit', 'inherit', theirs.fd] })
  theirs.close() // the child has its own copy, and will see the end when ours is closed
  const file = new Descriptor(openSync(SELF))
  // At least one byte has to go with a descriptor. Sending borrows: the receiver gets a copy, ours is still ours.
  const sent = sendmsg(ours, Buffer.from('!'), [rights([file])])
  console.log(`the parent sent ${sent} byte and descriptor ${file.fd}`)
  file.close()
  ours.close()
  const [code] = await once(child, 'exit')
  process.exitCode = code
}

async function child() {
  await readable(SOCKET)
  const { data, ancillary } = recvmsg(SOCKET, 1, CMSG_SPACE(4))
  const [file] = takeDescriptors(ancillary)
  const firstLine = readFileSync(file.fd, 'utf8').split('\n')[0]
  console.log(`the child received "${data}" and descriptor ${file.fd}, which begins with "${firstLine}"`)
  file.close()
}

await (process.argv[2] === 'child' ? child() : parent())
