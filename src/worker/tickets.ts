import { hkdfSync } from 'node:crypto'
import type net from 'node:net'
import type tls from 'node:tls'
import { TICKET_KEY_BYTES } from '../limits.js'
import { clientTrust, giveTicketKeys, isTlsServer } from '../runtime/node-tls.js'

/** As JSON, so that no group's name can look like two words. */
const GROUP = JSON.stringify(process.env.HANDOVER_GROUP ?? null)

/**
 * Session tickets that every worker can open: keys are made of the master's secrets, which all workers have, and of what
 * the same server has in common in each: its port, its group, and what it asks of its clients. So no ticket of one server opens
 * another one of the same program, nor one of another group, which shows another certificate to who asks for another name.
 * @see RFC 6066, 3: a session is not resumed under another server name
 */
export class Tickets {
  /** Newest first. */
  #secrets: readonly Buffer[] = []
  /** Servers that listen, by the number of their port. */
  readonly #servers = new Map<tls.Server, number>()

  /** The master's secrets, newest first, in place of those before. */
  update(secrets: readonly string[]): void {
    this.#secrets = secrets.map((secret) => Buffer.from(secret, 'base64'))
    for (const [server, port] of this.#servers) this.#give(server, port)
  }

  /** A server listens, on a port of the master. Borrows the server. */
  add(server: net.Server, port: number): void {
    if (!isTlsServer(server)) return
    this.#servers.set(server, port)
    this.#give(server, port)
  }

  /** A server listens no more. */
  remove(server: net.Server): void {
    if (isTlsServer(server)) this.#servers.delete(server)
  }

  #give(server: tls.Server, port: number): void {
    giveTicketKeys(server, () => {
      const info = `handover tickets ${port} ${GROUP} ${clientTrust(server)}`
      return this.#secrets.map((secret) => Buffer.from(hkdfSync('sha256', secret, '', info, TICKET_KEY_BYTES)))
    })
  }
}
