/**
 * The ways to get a channel, by the scheme of their addresses. An address is one text, so that it can be handed on by
 * any means: `/run/app.sock`, `@name`, `pid:4711/8/10233`.
 */
import { shown } from '../arguments.js'
import type { End } from '../channel/end.js'
import type { Credentials } from '../syscalls/credentials.js'

/** What the connecting side may ask of a bootstrap. */
export interface BootstrapConnectOptions {
  readonly signal: AbortSignal
}

/** What the listening side may ask of one. */
export interface BootstrapListenOptions {
  /** Permission bits of what is made in the file system. */
  readonly mode: number
  /** Who it shall belong to. */
  readonly owner?: { readonly uid: number; readonly gid: number }
  readonly backlog?: number
}

/** Somebody who connected: who it is, and what becomes of it. One of the two is called, once. */
export interface Caller {
  readonly credentials: Credentials
  /** Gives the end. */
  admit(): End
  /** Closes it without a word. */
  refuse(): void
}

/** A place where ends come from. */
export interface EndSource {
  /** The address to connect to, as text. */
  readonly address: string
  /** Calls back for each that connects, until `pause`. */
  watch(called: (caller: Caller) => void): void
  pause(): void
  /** Whether it keeps the process alive. It does at first. */
  set referenced(referenced: boolean)
  close(): void
}

/** A way to get a channel. Register your own with {@link registerBootstrap}. */
export interface Bootstrap {
  /** What stands before the colon of its addresses; lower-case letters. */
  readonly scheme: string
  /**
   * Gets an end. Rejects with a `SyscallError` or `HandoverError`; one that `retries` says yes to is tried again where
   * the user asks for that.
   * @param place  the address behind the colon
   */
  connect?(place: string, options: BootstrapConnectOptions): End | Promise<End>
  /** Whether a failure of `connect` may be over soon: nobody listens yet. */
  retries?(error: unknown): boolean
  listen?(place: string, options: BootstrapListenOptions): EndSource | Promise<EndSource>
}

const bootstraps = new Map<string, Bootstrap>()

/**
 * Makes a way to get channels known to `connect` and `listen`.
 * @throws {TypeError} it is no bootstrap, or its scheme is taken
 */
export function registerBootstrap(bootstrap: Bootstrap): void {
  if (typeof bootstrap !== 'object' || bootstrap === null)
    throw new TypeError(`bootstrap: an object, not ${shown(bootstrap)}`)
  const { scheme } = bootstrap
  if (typeof scheme !== 'string' || !/^[a-z]+$/.test(scheme)) {
    throw new TypeError(`bootstrap.scheme: lower-case letters, not ${shown(scheme)}`)
  }
  if (bootstraps.has(scheme)) throw new TypeError(`bootstrap.scheme: ${shown(scheme)} is registered already`)
  for (const member of ['connect', 'listen', 'retries'] as const) {
    const value = bootstrap[member]
    if (value !== undefined && typeof value !== 'function') {
      throw new TypeError(`bootstrap.${member}: a function, not ${shown(value)}`)
    }
  }
  if (!bootstrap.connect && !bootstrap.listen)
    throw new TypeError('bootstrap.connect, bootstrap.listen: one of them at least')
  bootstraps.set(scheme, bootstrap)
}

/**
 * The bootstrap of an address, and the place it names. A path and an abstract name (`@…`) need no scheme.
 * @throws {TypeError} no bootstrap has this scheme, or it cannot do this
 */
export function bootstrapOf<Does extends 'connect' | 'listen'>(
  address: unknown,
  does: Does,
): { bootstrap: Bootstrap & Required<Pick<Bootstrap, Does>>; place: string } {
  const known = `a path, @name, or ${[...bootstraps.keys()].map((scheme) => `${scheme}:…`).join(', ')}`
  if (typeof address !== 'string' || address === '') throw new TypeError(`address: ${known}, not ${shown(address)}`)
  const [, scheme, place] = /^([a-z]+):(.*)$/s.exec(address) ?? [undefined, 'unix', address]
  const bootstrap = bootstraps.get(scheme as string)
  if (bootstrap === undefined) throw new TypeError(`address: ${known}, not ${shown(address)}`)
  if (bootstrap[does] === undefined)
    throw new TypeError(`address: nobody can ${does} by ${scheme}:, as in ${shown(address)}`)
  return { bootstrap: bootstrap as Bootstrap & Required<Pick<Bootstrap, Does>>, place: place as string }
}
