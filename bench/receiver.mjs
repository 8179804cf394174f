// The receiving process of bench/descriptors.mjs: `close` or `adopt` what a channel brings, or what `child.send` does.
import net from 'node:net'
import { pathToFileURL } from 'node:url'
import { inside } from './compile.mjs'

const compiled = (path) => import(pathToFileURL(inside(path)).href)

/** A descriptor becomes what an application works with, which is most of what `child.send` does here. */
function adopt(descriptors) {
  for (const fd of descriptors) new net.Socket({ fd, readable: true, writable: true }).destroy()
}

if (process.argv[2] === 'child.send') {
  process.on('message', (_message, socket) => socket.destroy())
  process.send('ready')
} else {
  const { inheritedLink } = await compiled('bootstrap/inherit.js')
  const { closeMany } = await compiled('syscalls/descriptor.js')
  const take = process.argv[2] === 'adopt' ? adopt : closeMany
  inheritedLink({ transports: (_tag, descriptors) => take(descriptors), closed: () => process.exit(0) })
}
