import { shown, wholeNumber } from '../../arguments.js'
import { PROCESSORS_MAX } from '../../limits.js'
import { allowedProcessors } from '../../syscalls/affinity.js'

/** The processors for the worker of a place, from 1. */
export type PlaceProcessors = (place: number) => readonly number[]

/**
 * @throws {TypeError | RangeError} it is none, or names a processor that this process may not use; {SyscallError} ENOSYS:
 *   the system has no such thing
 */
export function settleAffinity(affinity: unknown, threads: boolean): PlaceProcessors {
  if (threads) throw new TypeError('affinity: threads share the processors of their process: take processes')
  if (process.platform !== 'linux') throw new TypeError(`affinity: only on Linux, not on ${process.platform}`)
  const allowed = allowedProcessors()
  const lists = affinity === 'spread' ? allowed.map((one) => [one]) : checkedLists(affinity, allowed)
  return (place) => lists[(place - 1) % lists.length] as readonly number[]
}

function checkedLists(affinity: unknown, allowed: readonly number[]): readonly (readonly number[])[] {
  if (!Array.isArray(affinity)) throw new TypeError(`affinity: 'spread' or a list of lists, not ${shown(affinity)}`)
  if (affinity.length === 0) throw new RangeError('affinity: at least one list')
  return affinity.map((list: unknown, index) => {
    const name = `affinity[${index}]`
    if (!Array.isArray(list)) throw new TypeError(`${name}: a list of processors, not ${shown(list)}`)
    if (list.length === 0) throw new RangeError(`${name}: at least one processor`)
    for (const one of list) {
      wholeNumber(name, one, 0, PROCESSORS_MAX - 1)
      if (allowed.includes(one)) continue
      throw new RangeError(`${name}: this process may not use processor ${one}; it may use ${allowed.join(', ')}`)
    }
    return [...(list as number[])]
  })
}
