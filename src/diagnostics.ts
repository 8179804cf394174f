import { type Channel, channel } from 'node:diagnostics_channel'

/** What is published of each step of a hand-over: one message for a batch. `pid` is the process at the other end. */
export interface Diagnostics {
  /** An offer of things, with so many descriptors among them, went to the peer. */
  'handover:offer': { pid: number; descriptors: number }
  /** Connections of a port, by its number on the channel, went to a worker. */
  'handover:send': { pid: number; port: number; connections: number }
  /** A worker claimed connections: they are its own. */
  'handover:claim': { pid: number; connections: number }
  /** In a worker: connections of a port came, and become its server's. */
  'handover:adopt': { port: number; connections: number }
  /** A worker sent connections back, or ended before it claimed them; others get them. */
  'handover:return': { pid: number; connections: number }
  /** Connections were closed, and no worker had them. */
  'handover:drop': { connections: number; reason: string }
}

type Name = keyof Diagnostics

/** The channels, by the last word of their names: ask `hasSubscribers` before anything is made for them. */
export const diagnostics = {
  offer: channel('handover:offer'),
  send: channel('handover:send'),
  claim: channel('handover:claim'),
  adopt: channel('handover:adopt'),
  return: channel('handover:return'),
  drop: channel('handover:drop'),
}

/**
 * Publishes once what goes on now is done, so that a subscriber may do what it likes, such as end the channel.
 * @see https://nodejs.org/api/diagnostics_channel.html
 */
export function publish<Step extends Name>(to: Channel, message: Diagnostics[Step]): void {
  process.nextTick(() => to.publish(message))
}

/** Connections were closed, and no worker had them. */
export function dropped(connections: number, reason: string): void {
  if (connections === 0 || !diagnostics.drop.hasSubscribers) return
  publish<'handover:drop'>(diagnostics.drop, { connections, reason })
}
