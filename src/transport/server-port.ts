import type net from 'node:net'
import { resolve } from 'node:path'
import { descriptorOfServer, listenOn, onHandleClosed } from '../runtime/node-servers.js'
import { forgetPipePath } from '../syscalls/pipe-path.js'
import { inodeOf, isAbstract, removeIfLast } from './socket-path.js'

/** Servers whose path is looked after here, and no longer by Node; with what removes it. */
const looked = new WeakMap<net.Server, () => void>()

/**
 * Makes a server listen with a descriptor that listens already. Takes it.
 * @param owned  the path that goes with the last who has the port; null: none
 * @param shown  what the server tells as its address, of a UNIX port
 */
export function serveOn(server: net.Server, descriptor: number, owned: string | null, shown = owned): void {
  listenOn(server, descriptor, shown)
  if (owned !== null) lookAfterPath(server, owned)
}

/**
 * Takes a server's path out of Node's care, which would remove it although another process has the port: it goes when
 * the server closes its port and nobody else has it.
 * @returns tries that again: for whoever had the port then, and has it no more
 */
export function lookAfterPath(server: net.Server, path: string): () => void {
  const known = looked.get(server)
  if (known !== undefined) return known
  const place = isAbstract(path) ? path : resolve(path)
  const inode = inodeOf(place)
  const remove = (): void => removeIfLast(place, inode)
  looked.set(server, remove)
  forgetPipePath(descriptorOfServer(server))
  onHandleClosed(server, () => {
    looked.delete(server)
    remove()
  })
  return remove
}
