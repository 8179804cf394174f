import { setTimeout as delay } from 'node:timers/promises'
import { AwakeClock } from '../awake.js'
import type { Answer } from './answer.js'
import { Connection, type Request, type Where } from './connection.js'
import type { Ledger } from './ledger.js'
import { LongLived } from './long-lived.js'
import type { Kind } from './outcome.js'

export interface CrowdOptions extends Where {
  clients: number
  /** Requests per second, of all clients together. */
  rate: number
  /** Milliseconds in which a request must be answered. */
  timeout: number
  path: string
  /** The program says which request it answers, echoes bodies, and upgrades: `prove`'s own does. */
  own: boolean
  /** What a foreign program answers with. */
  status: number
}

/** Of twenty clients of the own program, how many of each kind; a foreign one has half and half of the first two. */
const MIX: readonly Kind[] = [
  ...Array<Kind>(7).fill('fresh'),
  ...Array<Kind>(8).fill('keep-alive'),
  ...Array<Kind>(3).fill('slow'),
  ...Array<Kind>(2).fill('connection'),
]
/** Requests on one connection that is kept, before its client makes another. */
const KEPT_FOR = 100
/** Milliseconds between looks for requests that wait for too long. */
const LOOK = 50
/** Milliseconds between the pieces of a slow body, and over which a slow answer comes: a quarter of it to all. */
const PIECE_PAUSE = 15
const SLOW_MOST = 400

/** All clients. Each sends a request when the one before is settled, and a pause is over. */
export class Crowd {
  readonly #connections = new Set<Connection>()
  readonly #longLived = new Set<LongLived>()
  readonly #awake = new AwakeClock(4 * LOOK)
  #on = true
  #numbers = 0
  readonly #done: Promise<unknown>
  readonly #look: NodeJS.Timeout

  constructor(
    private readonly options: CrowdOptions,
    private readonly ledger: Ledger,
  ) {
    this.#look = setInterval(() => setImmediate(() => this.#giveUp()), LOOK)
    this.#done = Promise.all(Array.from({ length: options.clients }, (_, index) => this.#client(index)))
  }

  /** No more requests; settles when all that are out are accounted for. */
  async stop(): Promise<void> {
    this.#on = false
    await this.#done
    clearInterval(this.#look)
    for (const one of this.#connections) one.close()
  }

  /** Gives up who waits for too long; not where this process stood still itself, and answers may wait for it. */
  #giveUp(): void {
    if (!this.#awake.look()) return
    for (const one of this.#connections) one.giveUp(this.options.timeout)
    for (const one of this.#longLived) one.giveUp(this.options.timeout)
  }

  async #client(index: number): Promise<void> {
    await this.#pause(index / this.options.clients)
    const kind = this.options.own ? MIX[(index * 7) % MIX.length] : index % 2 === 0 ? 'fresh' : 'keep-alive'
    if (kind === 'connection') await this.#lives()
    else if (kind === 'fresh') await this.#comesAnew()
    else await this.#keeps(kind as Kind)
  }

  async #comesAnew(): Promise<void> {
    for (let turn = 0; this.#on; turn++) {
      const connection = this.#connect()
      await connection.ask(this.#request('fresh', connection, turn, 'close'))
      connection.linger()
      await this.#pause()
    }
  }

  async #keeps(kind: Kind): Promise<void> {
    let connection: Connection | null = null
    for (let turn = 0; this.#on; turn++) {
      if (turn % KEPT_FOR === KEPT_FOR - 1) connection?.close()
      if (!connection?.usable) connection = this.#connect()
      await connection.ask(this.#request(kind, connection, turn, 'keep-alive'))
      await this.#pause()
    }
    connection?.close()
  }

  async #lives(): Promise<void> {
    while (this.#on) {
      this.#numbers += 1
      const one = new LongLived(this.options, this.#numbers, this.ledger, '/lines')
      this.#longLived.add(one)
      await one.opened()
      while (this.#on && !one.over) {
        await one.say()
        await this.#pause()
      }
      one.close()
      this.#longLived.delete(one)
      if (this.#on) await this.#pause()
    }
  }

  #connect(): Connection {
    this.#numbers += 1
    return new Connection(this.options, this.#numbers, this.ledger, this.#connections)
  }

  #request(kind: Kind, { number }: Connection, turn: number, use: 'close' | 'keep-alive'): Request {
    const { host, port, path, own, status } = this.options
    const id = `${number}/${turn}`
    const headers = `Host: ${host}:${port}\r\nConnection: ${use}\r\n`
    const judge = own ? ownAnswer(id, body(kind, id, turn)) : foreignAnswer(status)
    if (!own) return { id, kind, pieces: [`GET ${path} HTTP/1.1\r\n${headers}\r\n`], judge }
    const sent = body(kind, id, turn)
    if (sent === null) return { id, kind, pieces: [`GET / HTTP/1.1\r\n${headers}prove-id: ${id}\r\n\r\n`], judge }
    const to = kind === 'slow' ? `/slow?ms=${Math.round(SLOW_MOST * (0.25 + 0.75 * Math.random()))}` : '/echo'
    const head = `POST ${to} HTTP/1.1\r\n${headers}prove-id: ${id}\r\nContent-Length: ${sent.length}\r\n\r\n`
    if (kind !== 'slow') return { id, kind, pieces: [head + sent], judge }
    const third = Math.ceil(sent.length / 3)
    const pieces = [head + sent.slice(0, third), sent.slice(third, 2 * third), sent.slice(2 * third)]
    return { id, kind, pieces, pause: PIECE_PAUSE, judge }
  }

  /** @param part  of the usual time; by default about all of it */
  #pause(part = 0.5 + Math.random()): Promise<unknown> {
    const { clients, rate } = this.options
    return delay((clients / rate) * 1000 * part)
  }
}

/** Every other request has a body, of a size of its own; its words are numbered, so that what is missing or moved shows. */
function body(kind: Kind, id: string, turn: number): string | null {
  if (kind !== 'slow' && turn % 2 === 0) return null
  const words = 1 + ((turn * 37) % 300)
  return Array.from({ length: words }, (_, word) => `${id}-${word} `).join('')
}

function ownAnswer(id: string, sent: string | null): Request['judge'] {
  return ({ status, headers, body }: Answer) => {
    if (status !== 200) return `status ${status}`
    if (headers.get('prove-id') !== id) return `the answer to ${headers.get('prove-id') ?? 'something else'}`
    return body === (sent ?? id) ? null : difference(body, sent ?? id)
  }
}

function difference(body: string, expected: string): string {
  let from = 0
  while (from < body.length && body[from] === expected[from]) from++
  const at = (text: string): string => JSON.stringify(text.slice(Math.max(0, from - 10), from + 30))
  return `a body of ${body.length} bytes for ${expected.length}, at ${from} it says ${at(body)}, not ${at(expected)}`
}

function foreignAnswer(expected: number): Request['judge'] {
  return ({ status }) => (status === expected ? null : `status ${status}, not ${expected}`)
}
