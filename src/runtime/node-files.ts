/** Node's `FileHandle` has no public constructor: its class, and that of the native handle inside, are read off one. */
import { type FileHandle, open } from 'node:fs/promises'
import { devNull } from 'node:os'
import { hidden, symbolOf } from './symbols.js'

type Make = (descriptor: number) => FileHandle

let made: Make | null = null

/** Whether something is a FileHandle, of whatever realm. Asks nothing that an object of the user's would notice. */
export function isFileHandle(thing: unknown): thing is FileHandle {
  if (typeof thing !== 'object' || thing === null || thing.constructor?.name !== 'FileHandle') return false
  return symbolOf(thing, 'kHandle') !== undefined
}

/** Whether a stream or another operation keeps it open beyond its `close()`. */
export function isFileInUse(file: FileHandle): boolean {
  const users = hidden(file, 'kRefs')
  return typeof users === 'number' && users > 1
}

/** Makes a FileHandle of a descriptor, at once if one was made before. It takes the descriptor. */
export function fileHandleOf(descriptor: number): FileHandle | Promise<FileHandle> {
  return made === null ? classes().then((make) => make(descriptor)) : made(descriptor)
}

async function classes(): Promise<Make> {
  const probe = await open(devNull)
  const native = hidden(probe, 'kHandle') as object
  const File = probe.constructor as new (native: object) => FileHandle
  const Native = native.constructor as new (descriptor: number) => object
  await probe.close()
  made = (descriptor) => new File(new Native(descriptor))
  return made
}
