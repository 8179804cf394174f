/** What the kernel says of TCP connections (`/proc/net/tcp`, proc(5)). */
import { readFileSync } from 'node:fs'
import { until } from './wait.js'

const ESTABLISHED = '01'

/** The connections that came to a port: their state, and the inode of their socket, 0 where nobody has accepted them. */
export function connectionsAt(port: number): { state: string; inode: string }[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const lines = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) => readFileSync(table, 'utf8').split('\n'))
  const rows = lines.map((line) => line.trim().split(/\s+/))
  return rows
    .filter(([, local, remote]) => local?.endsWith(suffix) && remote?.endsWith(':0000') === false)
    .map((row) => ({ state: row[3] ?? '', inode: row[9] ?? '0' }))
}

/** Waits until a port has so many established connections: a client has its own before the kernel queues it for the server. */
export function arrived(port: number, count: number): Promise<void> {
  return until(`${count} connections have come to the port`, () => {
    return connectionsAt(port).filter(({ state }) => state === ESTABLISHED).length >= count
  })
}

/** Waits until so many established connections are queued for whoever accepts at a port. */
export function queued(port: number, count: number): Promise<void> {
  return until(`${count} connections are queued at the port`, () => {
    return connectionsAt(port).filter(({ state, inode }) => state === ESTABLISHED && inode === '0').length >= count
  })
}
