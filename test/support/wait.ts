import { setTimeout as delay } from 'node:timers/promises'

/**
 * Waits until a condition holds that nothing announces (a count in /proc, say), asking again and again; fails with
 * `what` after half a minute. Not for giving something time to happen.
 */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  milliseconds = 30_000,
): Promise<void> {
  const deadline = performance.now() + milliseconds
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not within ${milliseconds} ms: ${what}`)
    await delay(5)
  }
}
