import type { SettledReload } from '../options.js'
import type { Generation } from './generation.js'
import { HealthWindow } from './health-window.js'
import { Preparation } from './preparation.js'
import type { Stage } from './stage.js'

/** One generation that is to take the place of another. */
export interface Change {
  readonly previous: Generation
  readonly next: Generation
  readonly reload: SettledReload
  /** The next one is the current one from now on, or the previous one again. */
  makeCurrent(generation: Generation): void
}

/**
 * Starts all workers of a generation, and lets them take over together when all are ready.
 * @returns what settles when those before are gone
 * @throws {Failure} they do not get ready, or do not stay healthy; the reason that `Stage.watch` was failed with
 */
export async function replaceAll(stage: Stage, change: Change): Promise<{ gone: Promise<void> }> {
  const { next, previous, reload } = change
  for (const place of next.places) stage.roles.prepare(next.add(place))
  const { readiness, milliseconds } = reload
  const switched: Switched = { window: null, gone: Promise.resolve() }
  const preparation = new Preparation(
    stage,
    { generation: next, slots: next.slots, previous: () => stage.kept(previous), readiness, milliseconds },
    () => switchOver(stage, change, preparation.missing, switched),
  )
  stage.watch = preparation
  next.enter('starting', milliseconds)
  try {
    for (const slot of next.slots) slot.start()
    stage.tell('reloading', { generation: next.number })
    await preparation.settled
  } catch (reason) {
    preparation.fail(reason as Error)
    stage.watch = null // its workers end as asked from now on
    await stage.end(next, 0)
    const error = await stage.error(reason as Error, 'ERR_HANDOVER_WORKERS_FAILED')
    if (!stage.stopped) stage.tell('notReloaded', { generation: next.number, error })
    throw error
  }
  stage.tell('switched', { generation: next.number, previous: previous.number })
  if (switched.window !== null) await healthy(stage, change, switched.window)
  stage.watch = null
  return { gone: switched.gone }
}

interface Switched {
  window: HealthWindow | null
  /** Settles when those before are gone. */
  gone: Promise<void>
}

/** From one turn to the next: new connections find the new generation, then the old one stands by, or drains. */
function switchOver(stage: Stage, change: Change, missing: readonly number[], switched: Switched): void {
  const { previous, next, reload } = change
  // Clients that wait for a port which is not served any more came in time for the old workers.
  const before = stage.kept(previous)
  stage.acceptWaiting(missing, before)
  for (const slot of before) stage.roles.standBy(slot)
  change.makeCurrent(next)
  next.enter('serving')
  for (const slot of next.slots) stage.roles.serve(slot)
  const over = (): void => {
    switched.gone = stage.end(previous, reload.drainTimeout, true)
  }
  stage.watch = null
  if (reload.healthWindow === 0) return over()
  const { readiness, healthWindow: milliseconds } = reload
  previous.enter('standby', milliseconds)
  switched.window = new HealthWindow(
    stage,
    { generation: next, slots: () => stage.kept(next), readiness, milliseconds },
    { over, back: () => goBack(stage, change) },
  )
  stage.watch = switched.window
}

/** The same the other way round. */
function goBack(stage: Stage, { previous, next, reload, makeCurrent }: Change): void {
  for (const slot of next.slots) stage.roles.leave(slot)
  makeCurrent(previous)
  previous.enter('serving')
  for (const slot of stage.kept(previous)) stage.roles.serve(slot)
  void stage.end(next, reload.drainTimeout, true)
}

async function healthy(stage: Stage, { next, previous }: Change, window: HealthWindow): Promise<void> {
  try {
    await window.settled
  } catch (reason) {
    stage.watch = null
    if (stage.stopped) throw reason
    stage.tell('rolledBack', { generation: next.number, to: previous.number, reason: (reason as Error).message })
    throw await stage.error(reason as Error, 'ERR_HANDOVER_ROLLED_BACK')
  }
  stage.tell('healthy', { generation: next.number })
}
