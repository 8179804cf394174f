/**
 * A loop over what `take` gives, until that is null. Unlike a generator it can be left while it waits: what comes then is
 * the next one's.
 */
export function iteration<Given>(
  take: (options: { signal: AbortSignal }) => Promise<Given | null>,
): AsyncIterableIterator<Given> {
  const left = new AbortController()
  const done: IteratorReturnResult<undefined> = { done: true, value: undefined }
  return {
    async next(): Promise<IteratorResult<Given, undefined>> {
      const { signal } = left
      if (signal.aborted) return done
      try {
        const value = await take({ signal })
        return value === null ? done : { done: false, value }
      } catch (error) {
        if (signal.aborted && error === signal.reason) return done
        throw error
      }
    },
    async return(): Promise<IteratorResult<Given, undefined>> {
      left.abort()
      return done
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}
