import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { isLoopback } from './options.js'

/** Why a request is not answered. */
export interface Objection {
  status: 401 | 403
  reason: string
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/** Who may see and who may act: the token, the browser's cookie made of it, and where a request comes from. */
export class Guard {
  readonly #token: Buffer | null
  readonly #cookieName: string
  readonly #cookie: string

  /** @param port  cookies of one host are all ports', so each has a name of its own */
  constructor(token: string | null, port: number) {
    this.#token = token === null ? null : digest(token)
    this.#cookieName = `handover_admin_${port}`
    // Not the token itself: who reads a browser's cookies learns nothing that works elsewhere.
    this.#cookie = token === null ? '' : digest(`cookie ${port} ${token}`).toString('base64url')
  }

  /** To set where the right token was shown. It ends with the browser's session. */
  get cookie(): string {
    return `${this.#cookieName}=${this.#cookie}; Path=/; HttpOnly; SameSite=Strict`
  }

  isToken(shown: string): boolean {
    return this.#token !== null && timingSafeEqual(digest(shown), this.#token)
  }

  /** Whether it may read. */
  objection(request: IncomingMessage): Objection | null {
    if (this.#token === null) return foreignName(request)
    if (this.#bearer(request) || this.#hasCookie(request)) return null
    return { status: 401, reason: 'a token is needed: Authorization: Bearer …, or open /?token=… in a browser' }
  }

  /** Whether it may act. */
  actObjection(request: IncomingMessage): Objection | null {
    if (this.#token === null) {
      return {
        status: 403,
        reason: 'this admin address has no token, and is read-only: give it one to reload from here',
      }
    }
    return this.objection(request) ?? otherOrigin(request, this.#bearer(request))
  }

  #bearer({ headers }: IncomingMessage): boolean {
    const shown = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
    return shown !== undefined && this.isToken(shown)
  }

  #hasCookie({ headers }: IncomingMessage): boolean {
    const wanted = digest(this.#cookie)
    return (headers.cookie ?? '').split(';').some((pair) => {
      const [name, value = ''] = pair.trim().split('=')
      return name === this.#cookieName && timingSafeEqual(digest(value), wanted)
    })
  }
}

/**
 * A page of somebody else's whose name leads to this machine (DNS rebinding) says so in its Host header: without a token,
 * which it could not know, only addresses and localhost are answered.
 */
export function foreignName({ headers }: IncomingMessage): Objection | null {
  const host = (headers.host ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')
  if (isLoopback(host)) return null
  return { status: 403, reason: 'without a token this address is answered under 127.0.0.1, [::1] and localhost only' }
}

/** A browser says where a request was made; programs with the token need not. */
function otherOrigin({ headers }: IncomingMessage, bearer: boolean): Objection | null {
  const { origin, host = '' } = headers
  const site = headers['sec-fetch-site']
  const named = origin !== undefined ? hostOf(origin) === host : site === undefined ? bearer : true
  const same = site === undefined || site === 'same-origin' || site === 'none'
  return named && same ? null : { status: 403, reason: 'not from another page' }
}

function hostOf(origin: string): string | null {
  try {
    return new URL(origin).host
  } catch {
    return null // such as the origin "null" of a sandbox
  }
}
