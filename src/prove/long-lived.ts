import net from 'node:net'
import { now } from './clock.js'
import { outcomeOf, type Where } from './connection.js'
import type { Ledger } from './ledger.js'
import type { Kind, Loss } from './outcome.js'

/**
 * A connection that is upgraded and then lives on, as a WebSocket does: each line that is sent has a number, and comes back
 * with it. The connection is accounted for as a whole, too: it is answered if nobody ends it but its client.
 */
export class LongLived {
  readonly began = now()
  readonly #socket: net.Socket
  readonly #phase: string
  #pid: number | null = null
  #connected = false
  #upgraded = false
  #over = false
  #code: string | undefined
  #text = ''
  #sent = 0
  #heard = 0
  /** The line that is out; null: none. */
  #out: { began: number; phase: string; settle(): void } | null = null
  readonly #open: Promise<void>
  #opened = (): void => {}

  constructor(
    { host, port }: Where,
    readonly number: number,
    private readonly ledger: Ledger,
    path: string,
  ) {
    ledger.connections += 1
    this.#phase = ledger.phase
    this.#open = new Promise((resolve) => {
      this.#opened = resolve
    })
    this.#socket = net.connect({ host, port, noDelay: true }).setEncoding('latin1')
    this.#socket.on('connect', () => {
      this.#connected = true
    })
    this.#socket.on('data', (text) => this.#read(String(text)))
    this.#socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#code = error.code
    })
    this.#socket.on('end', () => this.#end()).on('close', () => this.#end())
    const head = [`GET ${path} HTTP/1.1`, `Host: ${host}:${port}`, 'Connection: Upgrade', 'Upgrade: prove-lines']
    this.#socket.write(`${head.join('\r\n')}\r\n\r\n`)
  }

  get over(): boolean {
    return this.#over
  }

  /** Settles when it is open, or is not going to be. */
  opened(): Promise<void> {
    return this.#open
  }

  /** Sends the next line; settles when it is accounted for. */
  say(): Promise<void> {
    return new Promise((settle) => {
      if (this.#over) return settle()
      this.#sent += 1
      this.#out = { began: now(), phase: this.ledger.phase, settle }
      this.#socket.write(`${this.#sent}\n`)
    })
  }

  /** All went well until here. */
  close(): void {
    if (this.#over) return
    this.#done()
    this.ledger.answered('connection', this.began)
  }

  giveUp(timeout: number): void {
    const since = this.#upgraded ? this.#out?.began : this.began
    if (this.#over || since === undefined || now() - since < timeout) return
    this.#lose('hung', this.#upgraded ? 'a line did not come back' : 'not upgraded')
  }

  #read(text: string): void {
    this.#text += text
    if (!this.#upgraded) {
      const end = this.#text.indexOf('\r\n\r\n')
      if (end < 0) return
      const head = this.#text.slice(0, end)
      if (!head.startsWith('HTTP/1.1 101 ')) return this.#lose('wrong', JSON.stringify(head.slice(0, 80)))
      this.#text = this.#text.slice(end + 4)
      this.#pid = Number(/^prove-pid: (\d+)/im.exec(head)?.[1]) || null
      this.#upgraded = true
      this.#opened()
    }
    const lines = this.#text.split('\n')
    this.#text = lines.pop() ?? ''
    for (const line of lines) if (!this.#over) this.#hear(line)
  }

  /** `number pid` */
  #hear(line: string): void {
    const [number, pid] = line.split(' ').map(Number)
    this.#pid = pid ?? null
    if (number !== this.#heard + 1 || this.#out === null) {
      const outcome = number !== undefined && number <= this.#heard ? 'twice' : 'wrong'
      return this.#lose(outcome, `${JSON.stringify(line)}, not ${this.#heard + 1}`)
    }
    this.#heard = number
    const { began, settle } = this.#out
    this.#out = null
    this.ledger.answered('message', began)
    settle()
  }

  #end(): void {
    if (this.#over) return
    const outcome = outcomeOf(this.#code, this.#connected, this.#upgraded)
    this.#lose(outcome, this.#code ?? 'the connection was ended')
  }

  #lose(outcome: Loss['outcome'], detail: string): void {
    const out = this.#out
    this.#done()
    if (out !== null) {
      const lost = outcome === 'cut' && this.#text === '' ? 'reset' : outcome
      this.#enter('message', lost, detail, out.began, out.phase)
      out.settle()
    }
    this.#enter('connection', outcome, detail, this.began, this.#phase)
  }

  #enter(kind: Kind, outcome: Loss['outcome'], detail: string, began: number, asked: string): void {
    const { number: connection, began: connectionBegan, ledger } = this
    const id = kind === 'message' ? `${connection}/${this.#sent}` : `${connection}`
    // A connection hangs by its last line, not since it was made.
    const phase = outcome === 'hung' && kind === 'message' ? asked : ledger.phase
    const ended = now()
    ledger.loss({ id, connection, kind, outcome, phase, connectionBegan, began, ended, pid: this.#pid, detail })
  }

  #done(): void {
    this.#over = true
    this.#out = null
    this.#opened()
    this.#socket.destroy()
  }
}
