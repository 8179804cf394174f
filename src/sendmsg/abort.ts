/**
 * Listens to an AbortSignal for many at once: a program that stops everything by one signal would otherwise be warned
 * that it has too many listeners.
 */
interface Listening {
  all: Set<(reason: unknown) => void>
  tell(): void
}

const listening = new WeakMap<AbortSignal, Listening>()

/** Signals that are not Node's own may have no reason. */
export const reasonOf = (signal: AbortSignal): unknown =>
  signal.reason ?? new DOMException('This operation was aborted', 'AbortError')

/**
 * Calls `aborted` with the reason once the signal, which is not yet, is aborted.
 * @returns what ends the listening
 */
export function onAbort(signal: AbortSignal, aborted: (reason: unknown) => void): () => void {
  const { all, tell } = listening.get(signal) ?? listen(signal)
  all.add(aborted)
  return () => {
    all.delete(aborted)
    if (all.size > 0) return
    signal.removeEventListener('abort', tell)
    listening.delete(signal)
  }
}

function listen(signal: AbortSignal): Listening {
  const all = new Set<(reason: unknown) => void>()
  const tell = (): void => {
    for (const aborted of [...all]) aborted(reasonOf(signal))
  }
  signal.addEventListener('abort', tell)
  const made = { all, tell }
  listening.set(signal, made)
  return made
}
