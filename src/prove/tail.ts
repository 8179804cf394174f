import type { ChildProcess } from 'node:child_process'

/** Characters of output that are kept. */
const KEPT = 4096

/** The last of what a program wrote, for the one who asks why it failed. */
export class Tail {
  text = ''

  /** Reads both outputs of a child, so that they never fill. */
  follow({ stdout, stderr }: ChildProcess): void {
    for (const stream of [stdout, stderr]) {
      stream?.setEncoding('utf8').on('data', (piece: string) => {
        this.text = (this.text + piece).slice(-KEPT)
      })
    }
  }
}
