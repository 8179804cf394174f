import { shown } from '../arguments.js'
import { type Destination, destination, namesOf } from './destination.js'
import { normalPath } from './http-path.js'
import type { RequestHead } from './request-head.js'
import type { Http2Preface } from './request-line.js'
import type { Refusal, Route } from './verdict.js'

/** Which requests lead where: those for which everything holds that is said. */
export interface HttpRoute {
  /** `example.com`, or `*.example.com` for one label more. */
  host?: string
  /** The start of the path, by whole segments: `/api` is `/api`, `/api/` and `/api/x`, not `/apix`. Case matters. */
  path?: string
  /** As requests write it: `GET`. */
  method?: string
  /** The header is there, or has this value; several of a name are joined by `, `. */
  header?: { name: string; value?: string }
  /** The cookie is there, or has this value. */
  cookie?: { name: string; value?: string }
  /** `2`: HTTP/2 without TLS from its first byte; nothing else is known of such a connection. */
  version?: '1.0' | '1.1' | '2'
  to: Destination
}

/** A route, checked, but for its host. */
export interface CompiledRoute {
  readonly to: Route | Refusal
  /** The start of the path, without a slash at its end, so that `/` is empty; null: whatever the path. */
  readonly path: string | null
  readonly conditions: readonly ((request: RequestHead | Http2Preface) => boolean)[]
  /** The first line does not tell whether it holds. */
  readonly needsHead: boolean
}

/** @throws {TypeError} a route that is none, named by its place in the list */
export function compileRoute(route: HttpRoute, index: number): CompiledRoute {
  const option = `routes[${index}]`
  if (typeof route !== 'object' || route === null) throw new TypeError(`${option}: an object, not ${shown(route)}`)
  const { host, path, method, header, cookie, version, to } = namesOf(
    route,
    ...['host', 'path', 'method', 'header', 'cookie', 'version', 'to'],
  ) as Record<keyof HttpRoute, unknown>
  if (host !== undefined && typeof host !== 'string') throw new TypeError(`${option}.host: text, not ${shown(host)}`)
  const conditions: CompiledRoute['conditions'][number][] = []
  if (method !== undefined) {
    if (typeof method !== 'string' || method === '' || method !== method.toUpperCase()) {
      throw new TypeError(`${option}.method: such as 'GET', in upper case, not ${shown(method)}`)
    }
    conditions.push((request) => request.version !== '2' && request.method === method)
  }
  if (version !== undefined) {
    if (version !== '1.0' && version !== '1.1' && version !== '2') {
      throw new TypeError(`${option}.version: '1.0', '1.1' or '2', not ${shown(version)}`)
    }
    conditions.push((request) => request.version === version)
  }
  if (header !== undefined) {
    const { name, holds } = named(`${option}.header`, header)
    const key = name.toLowerCase()
    conditions.push((request) => request.version !== '2' && holds(request.headers.get(key)?.join(', ')))
  }
  if (cookie !== undefined) {
    const { name, holds } = named(`${option}.cookie`, cookie)
    conditions.push((request) => request.version !== '2' && holds(request.cookies.get(name)))
  }
  return {
    to: destination(`${option}.to`, to),
    path: pathStart(`${option}.path`, path),
    conditions,
    needsHead: host !== undefined || header !== undefined || cookie !== undefined,
  }
}

function named(option: string, value: unknown): { name: string; holds(actual: string | undefined): boolean } {
  if (typeof value !== 'object' || value === null)
    throw new TypeError(`${option}: { name, value }, not ${shown(value)}`)
  const { name, value: wanted } = namesOf(value, 'name', 'value')
  if (typeof name !== 'string' || name === '') throw new TypeError(`${option}.name: text, not ${shown(name)}`)
  if (wanted !== undefined && typeof wanted !== 'string')
    throw new TypeError(`${option}.value: text, not ${shown(wanted)}`)
  return { name, holds: (actual) => actual !== undefined && (wanted === undefined || actual === wanted) }
}

function pathStart(option: string, path: unknown): string | null {
  if (path === undefined) return null
  const normal = typeof path === 'string' && path.startsWith('/') && !/[?#\s]/.test(path) ? normalPath(path) : null
  if (normal === null) {
    throw new TypeError(`${option}: it starts with '/', and has no query, '.' or '..' segments, not ${shown(path)}`)
  }
  return normal.endsWith('/') ? normal.slice(0, -1) : normal
}

/** Whether all holds that the route says, but for its host. */
export function holds({ path, conditions }: CompiledRoute, request: RequestHead | Http2Preface): boolean {
  if (path !== null && (request.version === '2' || !startsWith(request.path, path))) return false
  return conditions.every((condition) => condition(request))
}

function startsWith(path: string, start: string): boolean {
  if (!path.startsWith(start)) return false
  return path[start.length] === '/' || (path === start && path !== '')
}
