import type { FileHandle } from 'node:fs/promises'
import type { Parcel, ThingKind } from '../channel/kinds.js'
import { canMakeFileHandles, fileHandleOf, findFileHandles, isFileHandle, isFileInUse } from '../runtime/node-files.js'
import { closeMany } from '../syscalls/descriptor.js'
import { identify } from '../syscalls/identity.js'
import { first, notWhatWasSaid, taking } from './arrived.js'
import { copiesOf } from './copies.js'
import { assertHere, markOut, notMovable } from './movable.js'

/** Open files, as `fs/promises` has them. The position in the file is one for all who have it. */
export const fileKind: ThingKind<FileHandle> = {
  name: 'file',

  is: isFileHandle,

  release(file) {
    const parcel = share(file)
    if (isFileInUse(file)) {
      parcel.restored()
      throw notMovable('a stream reads or writes this file: wait until it has closed')
    }
    markOut(file, true)
    const settle = (): void => {
      markOut(file, false)
      parcel.restored()
    }
    return {
      ...parcel,
      claimed() {
        settle()
        if (file.fd >= 0) file.close().catch(() => {}) // the other has it: what fails here is nobody's loss
      },
      restored: settle,
    }
  },

  share,

  prepare: () => (canMakeFileHandles() ? undefined : findFileHandles()),

  objection,

  adopt({ descriptors }) {
    if (canMakeFileHandles()) return handleOf(descriptors)
    return findFileHandles().then(
      () => handleOf(descriptors),
      (error) => {
        closeMany(Int32Array.from(descriptors)) // nobody else has them
        throw error
      },
    )
  },
}

function objection({ descriptors }: { readonly descriptors: readonly number[] }): string | null {
  if (descriptors.length !== 1) return `a file has one descriptor, not ${descriptors.length}`
  return identify(descriptors[0] as number).startsWith('socket ') ? 'a socket came in place of a file' : null
}

function handleOf(descriptors: readonly number[]): FileHandle {
  return taking(descriptors, (left) => {
    first(left)
    if (objection({ descriptors: left }) !== null) throw notWhatWasSaid('file')
    const file = fileHandleOf(first(left))
    left.shift()
    return file
  })
}

/** Its owner may close it meanwhile: what travels is a copy. */
function share(file: FileHandle): Parcel {
  assertHere(file)
  if (file.fd < 0) throw notMovable('the file is closed')
  const copies = copiesOf(file.fd)
  return { descriptors: copies.descriptors, claimed: copies.close, restored: copies.close }
}
