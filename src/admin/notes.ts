import { printable } from '../arguments.js'
import { ADMIN_NOTES_MAX } from '../limits.js'
import { eventsOf, type Watched } from './seen.js'

/** Something that happened, as a page shows it. */
export interface Note {
  /** Grows by one each. */
  number: number
  /** Milliseconds since the epoch. */
  at: number
  event: string
  text: string
}

/** Of which of a supervisor's events notes are made; lines of workers' output are not among them. */
const NOTED = [
  ...[
    'started',
    'listening',
    'ready',
    'refused',
    'ended',
    'queued',
    'reloading',
    'rolled',
    'switched',
    'healthy',
    'reloaded',
    'rolledBack',
    'scaled',
  ],
  ...[
    'broken',
    'stalled',
    'recovered',
    'hung',
    'overLimit',
    'replaced',
    'notReplaced',
    'failed',
    'crashLoop',
    'cut',
    'exhausted',
    'returned',
    'setback',
  ],
]

/** The last things that happened, and word of each new one. */
export class Notes {
  readonly last: Note[] = []
  readonly #supervisor: Watched
  readonly #listeners: [name: string, listener: (event: object) => void][]
  #number = 0

  constructor(supervisor: Watched, tell: (note: Note) => void) {
    this.#supervisor = supervisor
    this.#listeners = NOTED.map((event) => [
      event,
      (told: object = {}): void => {
        const note = { number: ++this.#number, at: Date.now(), event, text: described(told) }
        this.last.push(note)
        if (this.last.length > ADMIN_NOTES_MAX) this.last.shift()
        tell(note)
      },
    ])
    for (const [event, listener] of this.#listeners) eventsOf(supervisor).on(event, listener)
  }

  close(): void {
    for (const [event, listener] of this.#listeners) eventsOf(this.#supervisor).off(event, listener)
  }
}

/** An event's fields in words: those that say nothing are left out. */
function described(told: object): string {
  const words = Object.entries(told).map(([name, value]) => word(name, value))
  return printable(words.filter((text) => text !== '').join(', '))
}

function word(name: string, value: unknown): string {
  if (value === null || value === undefined || value === false || value === '') return ''
  if (value === true) return name
  if (value instanceof Error) return value.message
  if (name === 'restartIn') return `another starts in ${value} ms`
  if (typeof value !== 'object') return name === 'reason' ? String(value) : `${spaced(name)} ${value}`
  if (name === 'address') return addressText(value as { address?: string; port?: number })
  return Object.entries(value)
    .map(([inner, what]) => word(inner, what))
    .filter((text) => text !== '')
    .join(', ')
}

function spaced(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
}

function addressText({ address = '', port }: { address?: string; port?: number }): string {
  return `${address.includes(':') ? `[${address}]` : address}:${port}`
}
