import { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { OUTPUT_GRACE, OUTPUT_LINE_MAX } from '../../limits.js'
import { HeldSocket } from '../../runtime/held-socket.js'
import { descriptorOfSocket } from '../../runtime/node-sockets.js'

/** What of an output was read and is no line yet, and where more comes from. */
export interface OutputState {
  /** Borrowed. */
  readonly descriptor: number
  /** Bytes, in base64. */
  readonly rest: string
}

/** One output of a worker, as lines. */
export class WorkerOutput {
  readonly #stream: Readable
  readonly #tell: (line: string) => void
  /** Read, and no whole line yet: bytes, as a character may be cut in two. */
  #rest = Buffer.alloc(0)
  #held: HeldSocket | null = null
  /** Settles when all of it was told. */
  readonly done: Promise<void>

  /** Takes the stream, which is to be read from now on. @param rest  what somebody else has read before */
  constructor(stream: Readable, tell: (line: string) => void, rest = Buffer.alloc(0)) {
    this.#stream = stream
    this.#tell = tell
    this.#rest = rest
    stream.on('data', (bytes: Buffer) => this.#add(bytes))
    stream.on('error', () => {}) // its end is all there is to know
    this.done = new Promise((resolve) => {
      stream.on('close', () => {
        this.#add(NOTHING)
        this.#tellRest()
        resolve()
      })
    })
    if (rest.length > 0) setImmediate(() => this.#add(NOTHING)) // there may be whole lines in it
  }

  #add(bytes: Buffer): void {
    let all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
    for (let end = endOfLine(all); end !== null; end = endOfLine(all)) {
      this.#tell(all.toString('utf8', 0, end.line))
      all = all.subarray(end.next)
    }
    this.#rest = Buffer.from(all)
    if (all.length > OUTPUT_LINE_MAX) this.#tellRest()
  }

  #tellRest(): void {
    const rest = this.#rest.toString().replace(/\r$/, '')
    const any = this.#rest.length > 0
    this.#rest = Buffer.alloc(0)
    if (any) this.#tell(rest)
  }

  /** Reads no more until `goOn`. @returns null: it has ended */
  hold(): OutputState | null {
    const stream = this.#stream
    if (!(stream instanceof Socket) || stream.destroyed || descriptorOfSocket(stream) < 0) return null
    this.#held = new HeldSocket(stream)
    const rest = Buffer.concat([this.#rest, this.#held.bytes])
    return { descriptor: descriptorOfSocket(stream), rest: rest.toString('base64') }
  }

  goOn(): void {
    this.#held?.restore()
    this.#held = null
  }

  /** Another process reads it from now on: our copy goes, and what was read of a line with it. */
  letGo(): void {
    this.#rest = Buffer.alloc(0)
    if (this.#held === null) this.#stream.destroy()
    else this.#held.dispose()
    this.#held = null
  }

  /** Reads no more, for good. */
  end(): void {
    this.#stream.destroy()
  }
}

/** Tells a line of one of a worker's outputs. */
export type TellLine = (output: OutputName, line: string) => void
export type OutputName = 'stdout' | 'stderr'

/** What a worker writes, as long as it lives and a little longer. */
export class WorkerOutputs {
  readonly #tell: TellLine
  readonly #outputs = new Map<OutputName, WorkerOutput>()

  constructor(tell: TellLine) {
    this.#tell = tell
  }

  /** Takes a stream, or the descriptor of one that somebody else has read before. Null: there is none. */
  read(name: OutputName, from: Readable | OutputState | null): void {
    if (from === null) return
    const tell = (line: string): void => this.#tell(name, line)
    const stream = 'rest' in from ? new Socket({ fd: from.descriptor, readable: true, writable: false }) : from
    const rest = 'rest' in from ? Buffer.from(from.rest, 'base64') : undefined
    this.#outputs.set(name, new WorkerOutput(stream, tell, rest))
  }

  /** Settles when all outputs have ended, and all was told. */
  get done(): Promise<unknown> {
    return Promise.all([...this.#outputs.values()].map(({ done }) => done))
  }

  hold(): Record<OutputName, OutputState | null> {
    return { stdout: this.#outputs.get('stdout')?.hold() ?? null, stderr: this.#outputs.get('stderr')?.hold() ?? null }
  }

  goOn(): void {
    for (const output of this.#outputs.values()) output.goOn()
  }

  letGo(): void {
    for (const output of this.#outputs.values()) output.letGo()
  }

  /** A program that the worker started may hold its output open for ever: what is there by then has been read. */
  endSoon(): void {
    setTimeout(() => {
      for (const output of this.#outputs.values()) output.end()
    }, OUTPUT_GRACE).unref()
  }
}

const NOTHING = Buffer.alloc(0)
const LF = 10
const CR = 13

/** Where the first line ends and the next begins: at LF, CR LF, or a CR that something else follows. Null: it does not. */
function endOfLine(bytes: Buffer): { line: number; next: number } | null {
  const lf = bytes.indexOf(LF)
  const cr = bytes.indexOf(CR)
  if (cr >= 0 && (lf < 0 || cr < lf)) {
    if (cr + 1 === bytes.length) return null // LF may follow
    return { line: cr, next: cr + (lf === cr + 1 ? 2 : 1) }
  }
  return lf < 0 ? null : { line: lf, next: lf + 1 }
}
