/** What a handler throws surfaces as an uncaught exception, like any error in a callback, and stops nothing here. */
export function guarded(call: () => void): void {
  try {
    call()
  } catch (error) {
    process.nextTick(() => {
      throw error
    })
  }
}
