import type { Note } from '../channel/held-descriptors.js'
import type { ArrivalDetails } from '../wire/control.js'
import { encodeProxied, type Proxied } from './proxied.js'
import type { Route } from './route.js'

/** What was learnt of a connection before it is handed over. Goes with it, and comes back with it. */
export interface ArrivalNote extends Note {
  readonly route: Route
  readonly proxied: Proxied | null
}

export function arrivalNote(route: Route, proxied: Proxied | null): ArrivalNote {
  const details: ArrivalDetails | null = proxied === null ? null : { proxied: encodeProxied(proxied) }
  return { route, proxied, details: details === null ? undefined : JSON.stringify(details) }
}
