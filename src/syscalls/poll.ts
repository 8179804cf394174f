import { constant, kernel } from './kernel.js'
import { checked } from './result.js'

/**
 * Blocks the thread until a descriptor is readable or the time is up. Borrows the descriptor.
 * A signal may end the wait early: hold the deadline outside.
 * @returns whether it is readable, or at its end
 * @see poll(2)
 */
export function pollReadable(descriptor: number, milliseconds: number): boolean {
  return checked(kernel.poll(descriptor, constant('POLLIN'), milliseconds), 'poll', undefined, pollReadable) !== 0
}

/** Whether bytes, an end or an error can be read; unlike above, it is not when nothing was ever connected. Borrows it. */
export function hasInput(descriptor: number): boolean {
  const input = constant('POLLIN')
  return (checked(kernel.poll(descriptor, input, 0), 'poll', undefined, hasInput) & input) !== 0
}
