import type { TestContext } from 'node:test'

/** Collects what is thrown and caught by nobody during a test, in place of the test runner. */
export function uncaught(t: TestContext): unknown[] {
  const thrown: unknown[] = []
  const listeners = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', (error) => thrown.push(error))
  t.after(() => {
    process.removeAllListeners('uncaughtException')
    for (const listener of listeners) process.on('uncaughtException', listener)
  })
  return thrown
}
