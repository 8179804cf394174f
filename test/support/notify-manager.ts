/** A service manager's notify socket, of the test's own. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import {
  AF_UNIX,
  bind,
  CMSG_SPACE,
  credentials,
  type Descriptor,
  MSG_CTRUNC,
  MSG_TRUNC,
  recvmsg,
  SOCK_DGRAM,
  setsockopt,
  socket,
  takeDescriptors,
} from '../../src/sendmsg/index.js'
import { scratch } from './paths.js'
import { until } from './wait.js'

/** Room for the sender's credentials and as many descriptors as one message may have. */
const ANCILLARY_SIZE = CMSG_SPACE(12) + CMSG_SPACE(4 * 253)

export interface Notified {
  /** The lines, in order. */
  lines: string[]
  /** The sender, by the kernel's word. */
  pid: number
  /** Closed with the test. */
  descriptors: Descriptor[]
}

export interface NotifyManager {
  /** What NOTIFY_SOCKET says. */
  address: string
  /** The next datagram, or null when there is none. */
  take(): Notified | null
  /** The next datagram, once it is there. */
  next(): Promise<Notified>
  /** Ends it before the test does. */
  close(): void
}

let names = 0

/** Opens a notify socket that goes with the test. */
export function notifyManager(t: TestContext, kind: 'path' | 'abstract' = 'path'): NotifyManager {
  const made = socket(AF_UNIX, SOCK_DGRAM)
  t.after(() => made.close())
  const address = kind === 'path' ? join(scratch(t), 'notify') : `@handover/notify ${process.pid} ${names++}`
  bind(made, { path: address.replace(/^@/, '\0') })
  setsockopt(made, 'SO_PASSCRED', true)
  const take = (): Notified | null => {
    const message = recvmsg(made, 4096, ANCILLARY_SIZE)
    if (message === null) return null
    const descriptors = takeDescriptors(message.ancillary)
    t.after(() => {
      for (const one of descriptors) one.close()
    })
    assert.equal(message.flags & (MSG_TRUNC | MSG_CTRUNC), 0)
    return {
      lines: String(message.data).split('\n'),
      pid: credentials.from(message.ancillary)?.pid ?? 0,
      descriptors,
    }
  }
  return {
    address,
    take,
    async next() {
      let notified: Notified | null = null
      await until('a notification', () => {
        notified = take()
        return notified !== null
      })
      return notified as unknown as Notified
    },
    close: () => made.close(),
  }
}

export interface StoringManager {
  /** What NOTIFY_SOCKET says. */
  address: string
  /** What it keeps for the service, by name, in the order it came. */
  kept: Map<string, number>
  /** The lines of each datagram, in order, and who sent it. */
  told: string[]
  pids: number[]
}

/** A manager that reads all the time, and keeps and forgets descriptors as it is asked. */
export function storingManager(t: TestContext): StoringManager {
  const one = notifyManager(t)
  const manager: StoringManager = { address: one.address, kept: new Map(), told: [], pids: [] }
  const read = ({ lines, descriptors, pid }: Notified): void => {
    const name = lines.find((line) => line.startsWith('FDNAME='))?.slice(7) ?? ''
    if (lines.includes('FDSTORE=1')) manager.kept.set(name, descriptors[0]?.fd ?? -1)
    if (lines.includes('FDSTOREREMOVE=1')) manager.kept.delete(name)
    if (lines.includes('BARRIER=1')) for (const descriptor of descriptors) descriptor.close()
    manager.told.push(lines.join(' '))
    manager.pids.push(pid)
  }
  const timer = setInterval(() => {
    for (let notified = one.take(); notified !== null; notified = one.take()) read(notified)
  }, 2)
  t.after(() => clearInterval(timer))
  return manager
}
