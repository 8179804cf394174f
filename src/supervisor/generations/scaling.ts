import type { Generation } from './generation.js'
import type { Place } from './places.js'
import { Preparation } from './preparation.js'
import type { Stage } from './stage.js'

/**
 * Gives a generation more places, or fewer. New ones serve when all of them are ready; those that go are given nothing more
 * and drain.
 * @returns what settles when they are gone
 * @throws {Failure} new workers do not get ready, and everything is as before; the reason that `Stage.watch` was failed with
 */
export async function scaleTo(
  stage: Stage,
  generation: Generation,
  places: readonly Place[],
  times: { milliseconds: number; drainTimeout: number },
): Promise<{ gone: Promise<void> }> {
  const numbers = new Set(places.map(({ number }) => number))
  const known = new Set(generation.places.map(({ number }) => number))
  await addPlaces(
    stage,
    generation,
    places.filter(({ number }) => !known.has(number)),
    times.milliseconds,
  )
  const leaving = stage.kept(generation).filter(({ number }) => !numbers.has(number))
  generation.places = places
  const ends = leaving.map((slot) => stage.endSlot(generation, slot, times.drainTimeout, true))
  return { gone: Promise.all(ends).then(() => {}) }
}

async function addPlaces(
  stage: Stage,
  generation: Generation,
  places: readonly Place[],
  milliseconds: number,
): Promise<void> {
  if (places.length === 0) return
  const slots = places.map((place) => generation.add(place))
  const { readiness } = generation
  const preparation = new Preparation(stage, { generation, slots, previous: () => [], readiness, milliseconds }, () => {
    for (const slot of slots) stage.roles.serve(slot)
  })
  stage.watch = preparation
  for (const slot of slots) {
    stage.roles.prepare(slot)
    slot.start()
  }
  try {
    await preparation.settled
  } catch (reason) {
    await Promise.all(slots.map((slot) => stage.endSlot(generation, slot, 0)))
    throw await stage.error(reason as Error, 'ERR_HANDOVER_WORKERS_FAILED')
  } finally {
    stage.watch = null
  }
}
