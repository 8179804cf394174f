/** What is said of a connection by whoever looks at its first bytes. */
import type { Connection } from '../transport/arrivals.js'
import type { Proxied } from '../transport/proxied.js'
import type { Route } from '../transport/route.js'

export type { Route } from '../transport/route.js'

/** What has come is not enough. */
export interface More {
  /** Ask again when there are so many bytes in all; never sooner than one more than now. */
  readonly more: number
}

/** The connection is turned away. */
export interface Refusal {
  /** What is said to the client before its connection is closed; may be empty. */
  readonly refuse: string | Uint8Array
  /** For the log. */
  readonly reason?: string | undefined
}

/** The first bytes are a header of a proxy in front. They are read, and what is behind them is looked at anew. */
export interface Header {
  /** How many bytes the header has: exactly these are read. */
  readonly header: number
  /** What it says; null: nothing (the proxy speaks for itself), the addresses are those of the connection. */
  readonly proxied: Proxied | null
  /** Looks at what comes behind it; null: nobody, the connection goes wherever the policy says. */
  readonly next: Inspect | null
}

/** A route says none of what makes the others. */
type Only<Kind> = Kind & { readonly [Name in Exclude<'more' | 'refuse' | 'header', keyof Kind>]?: undefined }

export type Verdict = Only<Route> | Only<More> | Only<Refusal> | Only<Header>

/** A connection that is being looked at. */
export interface Inspected extends Connection {
  /** The client has said that it will send nothing more: what is there is all there will ever be. */
  readonly ended: boolean
}

/**
 * Looks at the first bytes of a connection, all that have come so far, and says what is to become of it. Called again
 * with more bytes as long as it asks for more. Borrows the bytes: they are valid during the call only.
 */
export type Inspect = (bytes: Buffer, connection: Inspected) => Verdict
