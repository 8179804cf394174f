/** The words of a control socket, as JSON messages of a channel. docs/control.md describes them. */

export interface ControlRequest {
  readonly type: 'request'
  /** The client's own number for it; answers carry it. */
  readonly id: number
  readonly command: string
  readonly options: Readonly<Record<string, unknown>>
}

/** The first word of a supervisor to each client. */
export interface Welcome {
  readonly type: 'welcome'
  /** The release of handover that runs there. */
  readonly handover: string
  readonly name: string
  readonly pid: number
  readonly commands: readonly string[]
}

export interface Failed {
  readonly type: 'failed'
  /** Null: what was asked had no number. */
  readonly id: number | null
  readonly code: string
  readonly message: string
  readonly hint?: string
  /** The class of the failure, as an exit code. */
  readonly exit: number
  /** The last lines of the workers it is about. */
  readonly output?: readonly string[]
}

export type ControlAnswer =
  | Welcome
  | { readonly type: 'progress'; readonly id: number; readonly event: string; readonly [field: string]: unknown }
  | { readonly type: 'done'; readonly id: number; readonly result: unknown }
  | Failed

/** A value as an object with fields, if it is one. */
export function fieldsOf(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null
}

/** A request out of whatever somebody sent. @returns why it is none, with its number as far as it has one */
export function requestOf(message: unknown): ControlRequest | { id: number | null; wrong: string } {
  const fields = fieldsOf(message)
  if (fields === null) return { id: null, wrong: 'a request is an object { type, id, command, options }' }
  const { type, command, options = {} } = fields
  const id = Number.isSafeInteger(fields.id) ? (fields.id as number) : null
  if (type !== 'request') return { id, wrong: 'type: "request" is all that is understood' }
  if (id === null) return { id, wrong: 'id: a whole number' }
  if (typeof command !== 'string') return { id, wrong: 'command: the name of one' }
  const given = fieldsOf(options)
  if (given === null) return { id, wrong: 'options: an object' }
  return { type, id, command, options: given }
}
