import http from 'node:http'
import type net from 'node:net'
import tls from 'node:tls'
import type { PortRegistry } from '../ports/port-registry.js'
import type { Slot } from '../workers/slot.js'
import type { HttpQuestion } from './generation-options.js'
import { connectTo, NoRoom } from './probe-connection.js'

/**
 * Asks one worker by HTTP, over a connection that goes to no other.
 * @param signal  ends the question
 * @throws {Error} it does not answer with a status from 200 to 399: the message says what it does
 */
export async function askWorker(
  slot: Slot,
  question: HttpQuestion,
  ports: PortRegistry,
  signal: AbortSignal,
): Promise<void> {
  const { target } = slot
  const place = placeOf(slot, question, ports)
  if (target === null || place === null) throw new Error(`worker ${slot.number} listens on no port to be asked at`)
  try {
    const socket = await connectTo(target, place.id, place.kind)
    const status = await statusOf(socket, question, signal)
    if (status >= 200 && status <= 399) return
    throw new Error(`it answers ${question.path} with status ${status}`)
  } catch (error) {
    const why = signal.aborted ? `it does not answer ${question.path}` : (error as Error).message
    const text = `worker ${slot.number}: ${why}`
    throw error instanceof NoRoom ? new NoRoom(text) : new Error(text, { cause: error })
  }
}

/** Where it is asked: at the port that the question names, else at the first of the network, else at the first. */
function placeOf(slot: Slot, { port }: HttpQuestion, ports: PortRegistry): { id: number; kind: 'tcp' | 'unix' } | null {
  const all = ports.portsOf([slot]).map((id) => ({ id, address: ports.addressOf(id) }))
  const tcp = all.filter(({ address }) => typeof address !== 'string')
  const found =
    port === null ? (tcp[0] ?? all[0]) : tcp.find(({ address }) => (address as { port: number })?.port === port)
  if (found === undefined) return null
  return { id: found.id, kind: typeof found.address === 'string' ? 'unix' : 'tcp' }
}

/** Takes the socket. */
function statusOf(socket: net.Socket, question: HttpQuestion, signal: AbortSignal): Promise<number> {
  const { path, host, servername } = question
  // It is this very worker's certificate, whatever name that bears.
  const stream = servername === null ? socket : tls.connect({ socket, servername, rejectUnauthorized: false })
  return new Promise<number>((resolve, reject) => {
    const headers = { host, 'user-agent': 'handover', connection: 'close' }
    const request = http.request({ path, headers, signal, createConnection: () => stream })
    request.on('error', reject)
    request.once('response', (response) => {
      response.on('error', () => {}) // what follows the status is not awaited
      resolve(response.statusCode ?? 0)
    })
    request.end()
  }).finally(() => {
    stream.on('error', () => {}).destroy()
    socket.on('error', () => {}).destroy()
  })
}
