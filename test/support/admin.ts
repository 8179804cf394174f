import http from 'node:http'
import type { TestContext } from 'node:test'
import { type AdminOptions, AdminServer } from '../../src/admin/index.js'
import type { Watched } from '../../src/admin/seen.js'
import { type Family, metricsOf } from './metrics.js'

export const TOKEN = 'a-token-of-the-tests'

export interface Answered {
  status: number
  headers: http.IncomingHttpHeaders
  text: string
}

export interface Asking extends http.RequestOptions {
  token?: string
  body?: string
}

export interface Admin {
  server: AdminServer
  port: number
  ask(path: string, options?: Asking): Promise<Answered>
  metrics(): Promise<Map<string, Family>>
}

/** Starts an admin address of a supervisor, and ends it with the test. */
export async function admin(t: TestContext, supervisor: Watched, options: Partial<AdminOptions> = {}): Promise<Admin> {
  const server = new AdminServer(supervisor, { port: 0, ...options })
  t.after(() => server.stop())
  const { port } = await server.start()
  const ask = (path: string, asking?: Asking): Promise<Answered> => askAt(port, path, asking)
  return { server, port, ask, metrics: async () => metricsOf((await ask('/metrics')).text) }
}

/** One request, on a connection of its own. */
export function askAt(port: number, path: string, { token, body, ...options }: Asking = {}): Promise<Answered> {
  const headers = { ...options.headers, ...(token !== undefined && { authorization: `Bearer ${token}` }) }
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, path, agent: false, ...options, headers }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }))
      response.on('error', reject)
    })
    request.on('error', reject).end(body)
  })
}
