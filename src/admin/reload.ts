import type { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { shown } from '../arguments.js'
import type { HandoverError } from '../errors.js'
import { ADMIN_BODY_BYTES_MAX } from '../limits.js'
import type { ReloadOptions } from '../supervisor/options.js'
import type { MakeReload } from './options.js'
import { eventsOf, type Watched } from './seen.js'
import type { Totals } from './totals.js'

/** What may be asked for from outside: when and how, never what runs. */
const ASKED = ['queue', 'milliseconds', 'drainTimeout', 'rolling', 'workers', 'healthWindow']

const PROGRESS = [
  'queued',
  'reloading',
  'started',
  'ready',
  'rolled',
  'ended',
  'switched',
  'healthy',
  'reloaded',
  'rolledBack',
]

interface Answer {
  status: number
  [field: string]: unknown
}

/** Reloads that are asked for over HTTP, one at a time unless they are to queue. */
export class Reloads {
  readonly #supervisor: Watched
  readonly #totals: Totals
  readonly #make: MakeReload
  /** Asked for, and not begun yet. */
  #asked = 0

  /** @param make  makes them; its steps are told by the supervisor. Null: that does, too */
  constructor(supervisor: Watched, totals: Totals, make: MakeReload | null = null) {
    this.#supervisor = supervisor
    this.#totals = totals
    this.#make = make ?? ((options) => supervisor.reload(options))
  }

  /** Answers when all is done; to who accepts application/x-ndjson, with a line for each step before. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = await options(request).catch((error: Error) => ({ error }))
    if ('error' in asked) return say(response, { status: 400, error: asked.error.message })
    const { queue, ...rest } = asked
    if (queue !== true && (this.#asked > 0 || this.#totals.isReloading())) {
      return say(response, { status: 409, error: 'a reload is under way; with {"queue":true} the next waits for it' })
    }
    const lines = /application\/x-ndjson/.test(request.headers.accept ?? '')
      ? new Lines(this.#supervisor, response)
      : null
    const { status, ...result } = await this.#reload(rest)
    if (lines === null) return say(response, { status, ...result })
    lines.end({ event: 'error' in result ? 'failed' : 'done', ...result })
  }

  async #reload(options: ReloadOptions): Promise<Answer> {
    const emitter = eventsOf(this.#supervisor)
    let begun = false
    const begins = (): void => {
      if (!begun) this.#asked -= 1
      begun = true
    }
    this.#asked += 1
    emitter.once('reloading', begins)
    try {
      const { generation } = await this.#make(options)
      return { status: 200, generation }
    } catch (error) {
      const { code, message } = error as HandoverError
      const mistaken = error instanceof TypeError || error instanceof RangeError
      return { status: mistaken ? 400 : 500, error: message, ...(typeof code === 'string' && { code }) }
    } finally {
      begins()
      emitter.off('reloading', begins)
    }
  }
}

/** An answer that grows by a line of JSON for each thing that happens. */
class Lines {
  readonly #emitter: EventEmitter
  readonly #response: ServerResponse
  readonly #listeners: [name: string, listener: (event: object) => void][]

  constructor(supervisor: Watched, response: ServerResponse) {
    this.#emitter = eventsOf(supervisor)
    this.#response = response
    response.writeHead(200, { 'content-type': 'application/x-ndjson', 'x-accel-buffering': 'no' })
    response.flushHeaders()
    this.#listeners = PROGRESS.map((event) => [
      event,
      (told) => response.write(`${JSON.stringify({ event, ...told })}\n`),
    ])
    for (const [event, listener] of this.#listeners) this.#emitter.on(event, listener)
  }

  end(last: object): void {
    for (const [event, listener] of this.#listeners) this.#emitter.off(event, listener)
    this.#response.end(`${JSON.stringify(last)}\n`)
  }
}

function say(response: ServerResponse, { status, ...body }: Answer): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(`${JSON.stringify(body)}\n`)
}

/** @throws {TypeError} the body is no JSON of known options, or too long */
async function options(request: IncomingMessage): Promise<ReloadOptions & { queue?: boolean }> {
  let text = ''
  for await (const part of request.setEncoding('utf8')) {
    text += part
    if (text.length > ADMIN_BODY_BYTES_MAX) throw new TypeError(`body: at most ${ADMIN_BODY_BYTES_MAX} bytes`)
  }
  if (text.trim() === '') return {}
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    throw new TypeError('body: JSON such as {"queue":true}, or nothing')
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new TypeError(`body: an object, not ${shown(body)}`)
  }
  const unknown = Object.keys(body).find((name) => !ASKED.includes(name))
  if (unknown !== undefined) throw new TypeError(`${unknown}: no such option here; there are ${ASKED.join(', ')}`)
  return body
}
