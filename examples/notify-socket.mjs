// A service manager's notify socket, as systemd has one: `node examples/notify-socket.mjs`
// The service says when it is ready and hands over a descriptor to keep; the kernel vouches for who says it.
import { spawn } from 'node:child_process'
import { fstatSync, openSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import {
  AF_UNIX,
  bind,
  CMSG_SPACE,
  closeDescriptors,
  connect,
  credentials,
  Descriptor,
  getsockname,
  readable,
  recvmsg,
  rights,
  SOCK_DGRAM,
  sendmsg,
  setsockopt,
  socket,
  takeDescriptors,
} from 'handover/sendmsg'

const SELF = fileURLToPath(import.meta.url)
/** Room for the sender's credentials and as many descriptors as one message may carry. */
const ANCILLARY_SIZE = CMSG_SPACE(12) + CMSG_SPACE(4 * 253)

async function manager() {
  const notify = socket(AF_UNIX, SOCK_DGRAM)
  bind(notify, { path: '' }) // Linux chooses an abstract name
  setsockopt(notify, 'SO_PASSCRED', true)
  const NOTIFY_SOCKET = getsockname(notify).path.replace('\0', '@')
  const service = spawn(process.execPath, [SELF, 'service'], {
    stdio: 'inherit',
    env: { ...process.env, NOTIFY_SOCKET },
  })
  const gone = new AbortController()
  service.on('exit', () => gone.abort())
  for (;;) {
    const message = recvmsg(notify, 4096, ANCILLARY_SIZE)
    if (message === null) {
      if (gone.signal.aborted) break // and all it said has been read
      await readable(notify, { signal: gone.signal }).catch(() => {})
      continue
    }
    if (credentials.from(message.ancillary)?.pid !== service.pid) {
      closeDescriptors(message.ancillary) // somebody else: whoever finds the name can write to it
      continue
    }
    const lines = String(message.data).split('\n')
    const words = Object.fromEntries(lines.map((line) => line.split('=')))
    console.log(`the service says ${JSON.stringify(words)}`)
    for (const descriptor of takeDescriptors(message.ancillary)) {
      console.log(`kept as ${words.FDNAME}: a file of ${fstatSync(descriptor.fd).size} bytes`)
      descriptor.close()
    }
  }
  notify.close()
}

function service() {
  const notify = socket(AF_UNIX, SOCK_DGRAM)
  connect(notify, { path: process.env.NOTIFY_SOCKET.replace(/^@/, '\0') })
  const say = (lines, ancillary) => sendmsg(notify, Buffer.from(lines.join('\n')), ancillary)
  say(['READY=1', 'STATUS=Serving nobody yet'])
  const state = new Descriptor(openSync(SELF))
  say(['FDSTORE=1', 'FDNAME=state'], [rights([state])])
  state.close()
  say(['STOPPING=1'])
  notify.close()
}

await (process.argv[2] === 'service' ? service() : manager())
