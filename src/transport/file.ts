import type { FileHandle } from 'node:fs/promises'
import type { Parcel, ThingKind } from '../channel/kinds.js'
import { fileHandleOf, isFileHandle, isFileInUse } from '../runtime/node-files.js'
import { first, taking } from './arrived.js'
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

  adopt: ({ descriptors }) =>
    taking(descriptors, (left) => {
      first(left)
      return fileHandleOf(left.shift() as number)
    }),
}

/** Its owner may close it meanwhile: what travels is a copy. */
function share(file: FileHandle): Parcel {
  assertHere(file)
  if (file.fd < 0) throw notMovable('the file is closed')
  const copies = copiesOf(file.fd)
  return { descriptors: copies.descriptors, claimed: copies.close, restored: copies.close }
}
