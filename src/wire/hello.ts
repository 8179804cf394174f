import { HandoverError } from '../errors.js'
import { OFFERED_BYTES_MAX, OFFERED_DESCRIPTORS_MAX, OFFERS_UNSETTLED_MAX } from '../limits.js'
import { badFrame } from './frame.js'

/** The version this release speaks, and the oldest it still understands. */
export const VERSION = 1
export const VERSION_OLDEST = 1

/** What each side says first. */
export interface Hello {
  protocol: 'handover'
  version: number
  oldest: number
  capabilities: string[]
  pid: number
  /** How many offers, and how much in them, may be unanswered at a time. */
  window?: Window
}

export interface Window {
  readonly offers: number
  readonly descriptors: number
  /** Of their payloads. */
  readonly bytes: number
}

/** What this release takes in. */
export const WINDOW: Window = {
  offers: OFFERS_UNSETTLED_MAX,
  descriptors: OFFERED_DESCRIPTORS_MAX,
  bytes: OFFERED_BYTES_MAX,
}

export const CAPABILITIES = ['transports', 'claims', 'status', 'offers', 'details', 'ports'] as const

/** @throws {HandoverError} ERR_HANDOVER_UNSUPPORTED: the peer has not said that it can */
export function assertUnderstands(peer: Hello | null, capability: (typeof CAPABILITIES)[number]): void {
  if (peer?.capabilities.includes(capability)) return
  throw new HandoverError('ERR_HANDOVER_UNSUPPORTED', `the peer does not understand "${capability}"`)
}

export function ownHello(): Hello {
  return {
    protocol: 'handover',
    version: VERSION,
    oldest: VERSION_OLDEST,
    capabilities: [...CAPABILITIES],
    pid: process.pid,
    window: WINDOW,
  }
}

/**
 * Checks what the peer said first.
 * @throws {HandoverError} ERR_HANDOVER_BAD_FRAME: it is no hello; ERR_HANDOVER_VERSION: no version in common
 */
export function acceptHello(value: unknown): Hello {
  const hello = value as Partial<Hello> | null
  const shaped =
    typeof hello === 'object' &&
    hello !== null &&
    hello.protocol === 'handover' &&
    Number.isInteger(hello.version) &&
    Number.isInteger(hello.oldest) &&
    Number.isInteger(hello.pid) &&
    Array.isArray(hello.capabilities) &&
    hello.capabilities.every((name) => typeof name === 'string') &&
    (hello.window === undefined || isWindow(hello.window))
  if (!shaped) throw badFrame('the first frame is no hello')
  const { version, oldest } = hello as Hello
  if (version < VERSION_OLDEST || oldest > VERSION) {
    throw new HandoverError(
      'ERR_HANDOVER_VERSION',
      `the peer speaks versions ${oldest} to ${version}, this side ${VERSION_OLDEST} to ${VERSION}`,
    )
  }
  return hello as Hello
}

function isWindow(window: unknown): window is Window {
  const { offers, descriptors, bytes } = (window ?? {}) as Partial<Window>
  return [offers, descriptors, bytes].every((most) => Number.isInteger(most) && Number(most) > 0)
}
