import http from 'node:http'
import net from 'node:net'

export type Where = { port: number; host?: string } | { path: string }

export interface Answer {
  status: number
  headers: http.IncomingHttpHeaders
  body: string
}

function place(where: Where): { port: number; host: string } | { socketPath: string } {
  return 'path' in where ? { socketPath: where.path } : { port: where.port, host: where.host ?? '127.0.0.1' }
}

/** One request on a connection of its own (`Connection: close`), with a time limit of 30 s. */
export function get(where: Where, path = '/', options: http.RequestOptions = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.get({ ...place(where), path, agent: false, timeout: 30_000, ...options }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        body += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }))
      response.on('error', reject)
    })
    request.on('timeout', () => request.destroy(new Error(`no answer to ${path} within 30 s`)))
    request.on('error', reject)
  })
}

/** A plain connection, once it is established. */
export function connect(where: Where): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = 'path' in where ? net.connect(where.path) : net.connect(where.port, where.host ?? '127.0.0.1')
    socket.once('connect', () => resolve(socket))
    socket.once('error', reject)
  })
}

/** Runs `task` for 0 … count-1, at most `width` at a time. */
export async function inParallel(count: number, width: number, task: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < count) await task(next++)
  }
  await Promise.all(Array.from({ length: width }, lane))
}
