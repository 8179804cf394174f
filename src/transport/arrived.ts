/** What every kind asks of what arrived: the other side may be of another release, in another language, or lie. */
import { HandoverError } from '../errors.js'
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  SO_ACCEPTCONN,
  SO_DOMAIN,
  SO_TYPE,
  SOCK_STREAM,
  SOL_SOCKET,
} from '../syscalls/constants.js'
import { close } from '../syscalls/descriptor.js'
import { getsockname } from '../syscalls/socket-name.js'
import { getsockoptInt } from '../syscalls/sockopt.js'

/**
 * Makes something of descriptors that arrived. Takes them: what `make` has not taken out of its array is closed if it
 * throws.
 */
export function taking<Thing>(descriptors: readonly number[], make: (left: number[]) => Thing): Thing {
  const left = [...descriptors]
  try {
    return make(left)
  } catch (error) {
    for (const descriptor of left) close(descriptor)
    throw error
  }
}

/** The next of the descriptors that arrived, borrowed. */
export function first(left: readonly number[]): number {
  const [descriptor] = left
  if (descriptor === undefined) {
    throw new HandoverError('ERR_HANDOVER_DESCRIPTORS_MISSING', 'a thing came without its descriptor')
  }
  return descriptor
}

/** Details as an object, whatever came. */
export function detailsOf(details: unknown): Readonly<Record<string, unknown>> {
  return typeof details === 'object' && details !== null ? (details as Record<string, unknown>) : {}
}

/** @throws {HandoverError} ERR_HANDOVER_IDENTITY */
export function notWhatWasSaid(what: string, cause?: unknown): HandoverError {
  return new HandoverError('ERR_HANDOVER_IDENTITY', `the descriptor that came is no ${what}`, { cause })
}

/** @throws {HandoverError} ERR_HANDOVER_BAD_FRAME */
export function notUnderstood(kind: string, details: unknown): HandoverError {
  return new HandoverError('ERR_HANDOVER_BAD_FRAME', `a ${kind} came with details that say nothing: ${json(details)}`)
}

function json(details: unknown): string {
  return (JSON.stringify(details) ?? 'none').slice(0, 100)
}

/** Whether a descriptor is a stream socket that accepts connections. Borrows it. */
export function isListening(descriptor: number): boolean {
  return isStream(descriptor) && getsockoptInt(descriptor, SOL_SOCKET, SO_ACCEPTCONN) === 1
}

/** Whether a descriptor is a stream socket: the event loop aborts the process over a file, say. Borrows it. */
export function isStream(descriptor: number): boolean {
  try {
    return getsockoptInt(descriptor, SOL_SOCKET, SO_TYPE) === SOCK_STREAM
  } catch {
    return false
  }
}

export type Family = 'tcp' | 'unix' | null

const FAMILIES = new Map<number, Family>([
  [AF_INET, 'tcp'],
  [AF_INET6, 'tcp'],
  [AF_UNIX, 'unix'],
])

/** What a socket's addresses are made of; null: something else, or it is no socket. Borrows it. */
export function familyOf(descriptor: number): Family {
  try {
    return FAMILIES.get(family(descriptor)) ?? null
  } catch {
    return null
  }
}

function family(descriptor: number): number {
  if (SO_DOMAIN !== undefined) return getsockoptInt(descriptor, SOL_SOCKET, SO_DOMAIN)
  const address = getsockname(descriptor)
  if (address === null || address.family === 'unix') return AF_UNIX // only these may have no name
  return address.family === 'IPv4' ? AF_INET : address.family === 'IPv6' ? AF_INET6 : -1
}
