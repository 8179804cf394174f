/** A client of HTTP that has one connection and keeps it: its end is a failure. */
import type net from 'node:net'
import type { TestContext } from 'node:test'
import { connect } from './client.js'

export interface KeepAlive {
  readonly socket: net.Socket
  /** Asks and gives the body of the answer; rejects if the connection ends. Answers have a Content-Length. */
  ask(path?: string): Promise<string>
  readonly ended: boolean
}

/** Connects; the connection is destroyed with the test. */
export async function keepAlive(t: TestContext, port: number, host = '127.0.0.1'): Promise<KeepAlive> {
  const socket = await connect({ port, host })
  t.after(() => socket.destroy())
  let text = ''
  let ended = false
  let waiting: { resolve(body: string): void; reject(error: Error): void } | null = null
  const end = (how: string) => (): void => {
    ended = true
    waiting?.reject(new Error(`the connection ended (${how}) behind ${JSON.stringify(text)}`))
    waiting = null
  }
  socket.on('end', end('end')).on('close', end('close')).on('error', end('error'))
  socket.setEncoding('latin1').on('data', (piece: string) => {
    text += piece
    const head = text.indexOf('\r\n\r\n')
    if (head < 0) return
    const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? Number.NaN)
    const whole = head + 4 + length
    if (text.length < whole) return
    const body = text.slice(head + 4, whole)
    const status = text.slice(9, 12)
    text = text.slice(whole)
    const asked = waiting
    waiting = null
    if (status === '200') asked?.resolve(body)
    else asked?.reject(new Error(`status ${status}`))
  })
  return {
    socket,
    get ended() {
      return ended
    },
    ask: (path = '/') =>
      new Promise((resolve, reject) => {
        if (ended) return reject(new Error('the connection has ended'))
        waiting = { resolve, reject }
        socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
      }),
  }
}
