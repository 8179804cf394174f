import type net from 'node:net'
import { resolve } from 'node:path'
import { descriptorOfServer, listenOn, onHandleClosed } from '../runtime/node-servers.js'
import { forgetPipePath } from '../syscalls/pipe-path.js'
import { inodeOf, isAbstract, nameOf, removeIfLast, type SocketFile } from './socket-path.js'

/** Servers whose path is looked after here, and no longer by Node; with what removes it. */
const looked = new WeakMap<net.Server, () => void>()

/** A path that goes with the last who has the port, and the file that is there. */
export interface OwnPath {
  /** Absolute, or an abstract name. */
  readonly path: string
  readonly file: SocketFile | null
}

/** A path as it is now, wherever the program may go. */
export function ownPath(path: string): OwnPath {
  const place = isAbstract(path) ? path : resolve(path)
  return { path: place, file: inodeOf(place) }
}

/**
 * Makes a server listen with a descriptor that listens already. Takes it, unless it throws.
 * @param owned  null: no path is removed
 * @param shown  what the server tells as its address, of a UNIX port
 */
export function serveOn(
  server: net.Server,
  descriptor: number,
  owned: OwnPath | null,
  shown?: string | undefined,
): void {
  listenOn(server, descriptor, shown ?? owned?.path ?? nameOf(descriptor))
  if (owned !== null) lookAfter(server, owned)
}

/**
 * Takes a server's path out of Node's care, which would remove it although another process has the port: it goes when
 * the server closes its port and nobody else has it.
 * @returns tries that again: for whoever had the port then, and has it no more
 */
export function lookAfterPath(server: net.Server, path: string): () => void {
  return looked.get(server) ?? lookAfter(server, ownPath(path))
}

function lookAfter(server: net.Server, { path, file }: OwnPath): () => void {
  const remove = (): void => removeIfLast(path, file)
  forgetPipePath(descriptorOfServer(server))
  looked.set(server, remove)
  onHandleClosed(server, () => {
    looked.delete(server)
    remove()
  })
  return remove
}
