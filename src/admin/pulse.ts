import type { ServerResponse } from 'node:http'
import { ADMIN_HISTORY_MAX, ADMIN_INTERVAL, ADMIN_UNREAD_MAX, ADMIN_WATCHERS_MAX } from '../limits.js'
import { Notes } from './notes.js'
import { type SeenStatus, seen, type Watched } from './seen.js'

/** What is drawn: when, how many connections are open, and how many there ever were. */
export type Sample = [at: number, open: number, total: number]

/**
 * Once a second the status, to every page that watches, and a sample of it for those that come later.
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export class Pulse {
  readonly #supervisor: Watched
  readonly #document: (status: SeenStatus) => object
  readonly #notes: Notes
  readonly #samples: Sample[] = []
  readonly #watchers = new Set<ServerResponse>()
  #timer: NodeJS.Timeout | null = null

  /** @param document  what pages are told of a status */
  constructor(supervisor: Watched, document: (status: SeenStatus) => object) {
    this.#supervisor = supervisor
    this.#document = document
    this.#notes = new Notes(supervisor, (note) => this.#send('note', note))
  }

  /** Starting twice does nothing more. */
  start(): void {
    if (this.#timer !== null) return
    this.#timer = setInterval(() => this.#beat(), ADMIN_INTERVAL).unref()
    this.#beat()
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#notes.close()
    for (const response of this.#watchers) response.end()
    this.#watchers.clear()
  }

  /** Tells all there is, and then what is new, until its reader goes. @returns false: too many watch already */
  watch(response: ServerResponse): boolean {
    if (this.#watchers.size >= ADMIN_WATCHERS_MAX) return false
    response.writeHead(200, { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' })
    this.#watchers.add(response)
    response.once('close', () => this.#watchers.delete(response))
    response.write('retry: 1000\n\n')
    response.write(message('history', { samples: this.#samples, notes: this.#notes.last }))
    response.write(message('status', this.#document(seen(this.#supervisor))))
    return true
  }

  #beat(): void {
    const status = seen(this.#supervisor)
    const open = status.workers.reduce((sum, one) => sum + one.open, 0)
    this.#samples.push([Date.now(), open, status.dispatched + (status.accepted ?? 0)])
    if (this.#samples.length > ADMIN_HISTORY_MAX) this.#samples.shift()
    if (this.#watchers.size > 0) this.#send('status', this.#document(status))
  }

  #send(event: string, data: object): void {
    if (this.#watchers.size === 0) return
    const text = message(event, data)
    for (const response of this.#watchers) {
      if (response.writableLength > ADMIN_UNREAD_MAX) response.destroy()
      else response.write(text)
    }
  }
}

/** JSON has no line breaks of its own. */
function message(event: string, data: object): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
}
