/** Two workers' ways to hand connections over, without a master: a channel within this process stands for it. */
import type net from 'node:net'
import type { TestContext } from 'node:test'
import { type Channel, connect, listen } from '../../src/index.js'
import type { Ways } from '../../src/websocket/movable.js'

type Drain = Parameters<Parameters<Ways['onDrain']>[0]>[0]
type Take = (socket: net.Socket, state: unknown) => void

export interface StandIn extends Ways {
  /** Tells this worker to finish; settles when its handlers have. */
  drain(drain: Drain): Promise<void>
  /** What was asked of `handOver`. */
  readonly asked: { as?: string; to?: unknown; timeout?: number }[]
}

/** Each hands over to the other. */
export async function waysBetween(t: TestContext): Promise<[StandIn, StandIn]> {
  const ends = [new Map<string, Take>(), new Map<string, Take>()] as const
  const willing = (taking: Map<string, Take>) => ({
    willing: ({ message }: { message?: unknown }) => taking.has((message as { as: string }).as),
  })
  const listener = await listen('@', willing(ends[0]))
  const right = await connect(listener.address, willing(ends[1]))
  const left = (await listener.accept()) as Channel
  listener.close()
  t.after(() => {
    left.close()
    right.close()
  })
  return [standIn(left, ends[0]), standIn(right, ends[1])]
}

function standIn(channel: Channel, taking: Map<string, Take>): StandIn {
  const drains = new Set<(drain: Drain) => void | Promise<void>>()
  const asked: StandIn['asked'] = []
  const take = async (): Promise<void> => {
    for await (const { message, things } of channel) {
      const { as, state, unread } = message as { as: string; state: unknown; unread: string }
      const [socket] = things as [net.Socket]
      socket.unshift(Buffer.from(unread, 'base64'))
      taking.get(as)?.(socket, state)
    }
  }
  void take()
  return {
    asked,
    async handOver(socket, { as = '', state, unread = Buffer.alloc(0), timeout, to }) {
      asked.push({ as, ...(to !== undefined && { to }), ...(timeout !== undefined && { timeout }) })
      const message = { as, state, unread: Buffer.from(unread).toString('base64') }
      await channel.send(message, [socket], timeout === undefined ? {} : { timeout })
    },
    onHandOver(as, handler) {
      taking.set(as, handler)
      return () => void taking.delete(as)
    },
    onDrain(handler) {
      drains.add(handler)
      return () => void drains.delete(handler)
    },
    async drain(drain) {
      await Promise.all([...drains].map((handler) => handler(drain)))
    },
  }
}
