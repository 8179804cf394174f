import { shown } from '../arguments.js'
import { type Destination, destinationOr, namesOf, refuse } from './destination.js'
import { HostNames } from './host-name.js'
import { type HttpKey, httpKey } from './http-key.js'
import { BAD_REQUEST, HEAD_TOO_LARGE, HTTP2_GOAWAY, MISDIRECTED_REQUEST, NOT_FOUND } from './http-refusals.js'
import { type CompiledRoute, compileRoute, type HttpRoute, holds } from './http-route.js'
import { type OneOrMore, withKey } from './keys.js'
import { parseRequestHead, type RequestHead, withHeaders } from './request-head.js'
import { type Http2Preface, headTooLong, parseRequestLine, type RequestLine } from './request-line.js'
import type { Inspect, Refusal, Route } from './verdict.js'

export interface HttpRequestHeadOptions {
  /**
   * The most specific one that holds counts: an exact host before a wildcard before none, then the longer path, then the
   * one with more conditions, then the first.
   */
  routes: readonly HttpRoute[]
  /** When none holds. Default: answered with 404, or 421 where only other hosts are known. */
  otherwise?: Destination
  /** What connections belong together by. */
  key?: OneOrMore<HttpKey>
}

const NOTHING: ReadonlyMap<string, never> = new Map<string, never>()

/**
 * Sends connections of HTTP where their first request leads, and with it all that follow on the same connection. The
 * first line suffices where no route and no key asks for more; else the whole head is waited for. What is no request, or
 * what servers could take for different ones, is answered with 400 (431 if it is too long).
 * @throws {TypeError | RangeError} routes or keys that are none
 * @see RFC 9110; RFC 9112
 */
export function httpRequestHead(options: HttpRequestHeadOptions): Inspect {
  const given = namesOf(options, 'routes', 'otherwise', 'key')
  const table = new RouteTable(given.routes)
  const otherwise = destinationOr('otherwise', given.otherwise, null)
  const key = httpKey(options.key)
  const parse = table.needsHead || key.needsHead ? parseRequestHead : parseRequestLine
  return (bytes, connection) => {
    const request = parse(bytes)
    if ('more' in request) return request
    if ('not' in request) return refuse(request === headTooLong ? HEAD_TOO_LARGE : BAD_REQUEST, request.not)
    const seen = withHead(request.found)
    const to = table.find(seen) ?? otherwise ?? table.refusal(seen)
    if (seen.version === '2') return withKey(to, key.withoutHead, seen, connection)
    return withKey(to, key.of, seen, connection)
  }
}

function withHead(found: RequestLine | RequestHead | Http2Preface): RequestHead | Http2Preface {
  if (found.version === '2' || 'headers' in found) return found
  return withHeaders(found, found.authority ?? '', NOTHING, NOTHING)
}

class RouteTable {
  readonly needsHead: boolean
  readonly #hosts = new HostNames<CompiledRoute[]>()
  /** Those that name no host. */
  readonly #any: CompiledRoute[] = []

  constructor(routes: unknown) {
    if (!Array.isArray(routes)) throw new TypeError(`routes: a list of routes, not ${shown(routes)}`)
    const compiled = routes.map((route: HttpRoute, index) => compileRoute(route, index))
    this.needsHead = compiled.some((one) => one.needsHead)
    const order = [...compiled.keys()].sort((a, b) =>
      bySpecificity(compiled[a] as CompiledRoute, compiled[b] as CompiledRoute),
    )
    for (const index of order) {
      const { host } = routes[index] as HttpRoute
      const list = host === undefined ? this.#any : this.#hosts.ensure(`routes[${index}].host`, host, () => [])
      list.push(compiled[index] as CompiledRoute)
    }
  }

  find(request: RequestHead | Http2Preface): Route | Refusal | undefined {
    if (request.version === '2') return firstOf(this.#any, request)
    const { host } = request
    return (
      firstOf(this.#hosts.exact(host), request) ??
      firstOf(this.#hosts.wildcard(host), request) ??
      firstOf(this.#any, request)
    )
  }

  refusal(request: RequestHead | Http2Preface): Refusal {
    if (request.version === '2') return refuse(HTTP2_GOAWAY, 'no route for HTTP/2')
    const { host } = request
    const known = this.#hosts.exact(host) ?? this.#hosts.wildcard(host)
    if (this.#hosts.size === 0 || known !== undefined) return refuse(NOT_FOUND, 'no route for this request')
    return refuse(MISDIRECTED_REQUEST, host === '' ? 'no host' : `unknown host ${host}`)
  }
}

function firstOf(list: CompiledRoute[] | undefined, request: RequestHead | Http2Preface): Route | Refusal | undefined {
  return list?.find((route) => holds(route, request))?.to
}

/** The longer path first, then the one with more conditions; equals stay as they are. */
function bySpecificity(a: CompiledRoute, b: CompiledRoute): number {
  return (b.path?.length ?? -1) - (a.path?.length ?? -1) || b.conditions.length - a.conditions.length
}
