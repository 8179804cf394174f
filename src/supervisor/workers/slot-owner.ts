import type { Dispatcher } from '../../dispatch/dispatcher.js'
import type { GivenBack } from '../../dispatch/target.js'
import { type SupervisorEvents, told } from '../events.js'
import { withoutProbes } from '../generations/probe-connection.js'
import type { SettledOptions } from '../options.js'
import type { PortRegistry } from '../ports/port-registry.js'
import type { Relay } from '../relay/relay.js'
import { Gate } from './gate.js'
import type { Slot, SlotOwner } from './slot.js'
import { workerStarter } from './start-worker.js'

type SlotEvent = 'started' | 'line' | 'broken' | 'returned'

/** Who hears of what happens at places, besides the dispatcher. */
export interface Observers extends Pick<SlotOwner, 'message' | 'ended'> {
  /** @returns whether anybody listens */
  emit<Name extends SlotEvent>(name: Name, event: SupervisorEvents[Name][0]): boolean
  started(slot: Slot): void
  line(slot: Slot, text: string): void
}

/** Brings what happens at the places of workers to all who are to know. */
export function slotOwner(
  { limit, drainTimeout, threads, care, orphans }: SettledOptions,
  relay: Relay,
  ports: PortRegistry,
  dispatcher: Dispatcher,
  { emit, started, line, message, ended }: Observers,
): SlotOwner {
  return {
    limit,
    drainTimeout,
    relay,
    orphans,
    gate: new Gate(),
    start: workerStarter(threads, care.affinity),
    started: (slot) => {
      started(slot)
      emit('started', told(slot))
    },
    message,
    line: (slot, stream, text) => {
      line(slot, text)
      // Where nobody listens to workers' output it goes where this process's own goes.
      const heard = emit('line', { worker: slot.number, stream, text })
      if (!heard) process[stream].write(`[${slot.number}] ${text}\n`)
    },
    lostChannel: (slot, target, error, returned) => {
      // Listeners come last: one that throws must not cost a connection.
      ports.gone(target)
      dispatcher.takeBack(withoutProbes(returned as GivenBack))
      if (error !== null) emit('broken', { worker: slot.number, error })
    },
    sentBack: (slot, _target, returned) => {
      dispatcher.takeBack(withoutProbes(returned as GivenBack))
      emit('returned', { worker: slot.number, connections: returned.descriptors.length })
    },
    roomier: (target) => dispatcher.roomier(target),
    accepted: (count) => {
      ports.accepted += count
    },
    ended,
  }
}
