import { startedOn } from '../../syscalls/affinity.js'
import { scheduledAsUsual } from '../../syscalls/schedule.js'
import type { PlaceProcessors } from './affinity.js'
import type { SlotOwner } from './slot.js'
import type { Worker } from './worker.js'
import { startProcess } from './worker-process.js'
import { startThread } from './worker-thread.js'

/** How workers are started: as what, scheduled how, and on which processors. */
export function workerStarter(threads: boolean, affinity: PlaceProcessors | null): SlotOwner['start'] {
  return (program, handlers, place) => {
    const start = (): Worker => scheduledAsUsual(() => (threads ? startThread : startProcess)(program, handlers))
    return affinity === null ? start() : startedOn(affinity(place), start)
  }
}
