import { close, open, write } from 'node:fs'
import { promisify } from 'node:util'

/** What a log file needs of the system; a test puts its own there. */
export interface Files {
  /** Opens for appending, and makes the file if there is none. */
  open(path: string): Promise<number>
  /** @returns how many bytes it took */
  write(descriptor: number, bytes: Uint8Array): Promise<number>
  close(descriptor: number): Promise<void>
}

const opened = promisify(open)
const written = promisify(write)

export const systemFiles: Files = {
  open: (path) => opened(path, 'a', 0o640),
  write: async (descriptor, bytes) => (await written(descriptor, bytes)).bytesWritten,
  close: promisify(close),
}
