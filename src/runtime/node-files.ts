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

/** Whether a FileHandle can be made at once. */
export function canMakeFileHandles(): boolean {
  return made !== null
}

/** Finds the classes, once. @throws {Error} EMFILE, ENOENT: there is no device to read them off; ask again later */
export async function findFileHandles(): Promise<void> {
  if (made !== null) return
  const probe = await open(devNull)
  const native = hidden(probe, 'kHandle') as object
  const File = probe.constructor as new (native: object) => FileHandle
  const Native = native.constructor as new (descriptor: number) => object
  await probe.close()
  made = (descriptor) => new File(new Native(descriptor))
}

/** Makes a FileHandle of a descriptor, once that can be. It takes the descriptor, unless it throws. */
export function fileHandleOf(descriptor: number): FileHandle {
  if (made === null) throw new TypeError('findFileHandles comes first')
  return made(descriptor)
}
