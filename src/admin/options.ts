import { randomBytes } from 'node:crypto'
import { isIP, isIPv4 } from 'node:net'
import { checkOptions, shown, wholeNumber } from '../arguments.js'
import { ADMIN_TOKEN_MIN } from '../limits.js'
import type { ReloadOptions } from '../supervisor/options.js'

export interface AdminOptions {
  /** A numeric address, or localhost. Default 127.0.0.1; others need a token. */
  host?: string
  /** 0: any that is free. */
  port: number
  /** At least 16 visible ASCII characters. Without one everything is read-only, and on loopback alone. */
  token?: string
  /** The name of the service, as it is shown. Default 'handover'. */
  name?: string
  /** The version of handover, as it is shown. Default: unknown. */
  version?: string
  /** Ask for the token where metrics and probes are read, too. Default false. */
  protectMetrics?: boolean
  /** Makes the reloads that are asked for here. Default: the supervisor's own. */
  reload?: MakeReload
}

export type MakeReload = (options: ReloadOptions) => Promise<{ generation: number }>

export interface SettledAdmin {
  host: string
  port: number
  token: string | null
  name: string
  version: string
  protectMetrics: boolean
  /** Null: the supervisor does. */
  reload: MakeReload | null
}

const KNOWN: readonly (keyof AdminOptions)[] = ['host', 'port', 'token', 'name', 'version', 'protectMetrics', 'reload']

/** @throws {TypeError | RangeError} an option that is unknown, wrong, or not safe without a token */
export function settleAdmin(options: AdminOptions): SettledAdmin {
  checkOptions(options, KNOWN)
  const { host = '127.0.0.1', token = null, name = 'handover', version = 'unknown', protectMetrics = false } = options
  const { reload = null } = options
  const port = wholeNumber('port', options.port, 0, 65_535)
  if (typeof host !== 'string' || (isIP(host) === 0 && host !== 'localhost')) {
    throw new TypeError(`host: a numeric address or localhost, not ${shown(host)}`)
  }
  for (const [what, value] of Object.entries({ name, version })) {
    if (typeof value !== 'string') throw new TypeError(`${what}: a string, not ${shown(value)}`)
  }
  if (typeof protectMetrics !== 'boolean')
    throw new TypeError(`protectMetrics: a boolean, not ${shown(protectMetrics)}`)
  if (reload !== null && typeof reload !== 'function') throw new TypeError(`reload: a function, not ${shown(reload)}`)
  checkToken(token, host, protectMetrics)
  return { host, port, token, name, version, protectMetrics, reload }
}

/** The value of a token is never shown. */
function checkToken(token: string | null, host: string, protectMetrics: boolean): void {
  if (token === null) {
    if (!isLoopback(host))
      throw new TypeError(`token: needed to listen on ${host}, where others can reach it; or use host 127.0.0.1`)
    if (protectMetrics) throw new TypeError('token: needed with protectMetrics')
    return
  }
  if (typeof token !== 'string') throw new TypeError(`token: a string, not ${shown(token)}`)
  if (!/^[\x21-\x7e]*$/.test(token)) throw new RangeError('token: visible ASCII characters only')
  if (token.length < ADMIN_TOKEN_MIN) {
    throw new RangeError(`token: at least ${ADMIN_TOKEN_MIN} characters, not ${token.length}`)
  }
}

/** Only programs of this machine get there. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'))
}

/** A token that nobody guesses: 192 bits. */
export function newToken(): string {
  return randomBytes(24).toString('base64url')
}

/**
 * Reads `[host:]port`, an IPv6 address in brackets.
 * @throws {RangeError} it is none
 */
export function adminAddress(text: string): { host: string; port: number } {
  const [, bracketed, plain, port] = /^(?:(?:\[([^\]]*)\]|([^:[\]]*)):)?(\d{1,5})$/.exec(text) ?? []
  const host = bracketed ?? plain ?? '127.0.0.1'
  if (port === undefined || Number(port) > 65_535 || (isIP(host) === 0 && host !== 'localhost')) {
    throw new RangeError(`an address is [host:]port, such as 9100, 127.0.0.1:9100 or [::1]:9100, not ${shown(text)}`)
  }
  return { host, port: Number(port) }
}
