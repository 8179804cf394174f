import type { SupervisorEvents } from '../supervisor/events.js'
import type { SocketAddress } from '../transport/address.js'
import { coloursFor } from './colours.js'

/** Where lines go; the live view stands between it and the terminal. */
export type Write = (line: string) => void

/** Says what happens: for people, with each worker's output behind its number, or as one JSON object a line. */
export interface Printer {
  info(event: string, text: string, fields?: object): void
  warn(event: string, text: string, fields?: object): void
  /** The command ends because of it. */
  error(event: string, text: string, fields?: object): void
  worker(event: SupervisorEvents['line'][0]): void
}

const pc = coloursFor(process.stdout)
const COLOURS = [pc.cyan, pc.magenta, pc.yellow, pc.green, pc.blue]

/** A text of the command's own: each of its lines says whose it is, as of several faults of a configuration. */
export function withName(colour: (text: string) => string, text: string): string {
  return text
    .split('\n')
    .map((line) => `${colour('handover')} ${line}`)
    .join('\n')
}

/** @param writeError  for workers' standard error, and for what ends the command */
export function textPrinter(write: Write, writeError: Write): Printer {
  return {
    info: (_event, text) => write(withName(pc.dim, text)),
    warn: (_event, text) => write(withName(pc.yellow, text)),
    error: (_event, text) => writeError(withName(pc.red, text)),
    worker: ({ worker, stream, text }) => {
      const colour = COLOURS[(worker - 1) % COLOURS.length] as (text: string) => string
      const to = stream === 'stderr' ? writeError : write
      to(`${colour(`[${worker}]`)} ${text}`)
    },
  }
}

export function jsonPrinter(write: Write): Printer {
  const line = (level: string, event: string, fields: object): void =>
    write(JSON.stringify({ time: new Date().toISOString(), level, event, ...fields }))
  return {
    info: (event, text, fields = {}) => line('info', event, { text, ...fields }),
    warn: (event, text, fields = {}) => line('warn', event, { text, ...fields }),
    error: (event, text, fields = {}) => line('error', event, { text, ...fields }),
    worker: (event) => line('info', 'line', event),
  }
}

/** Where a port is, without a scheme: that is the program's. */
export function addressText(address: SocketAddress | string): string {
  if (typeof address === 'string') return address.replace('\0', '@')
  const { address: host, port } = address
  if (host === '::' || host === '0.0.0.0') return `port ${port}, all addresses`
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}
