/** Commands that steer a service of a test, and the processes the service turns out to have. */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { handover } from './command.js'
import { isRunning } from './successions.js'

const known = new WeakMap<TestContext, Set<number>>()

/** The processes of a test's service; all of them end with the test. To be called before the service is started: its
 * command waits at the end of the test for all that hold its output open. */
export function processesOf(t: TestContext): Set<number> {
  const before = known.get(t)
  if (before !== undefined) return before
  const pids = new Set<number>()
  known.set(t, pids)
  t.after(() => {
    for (const pid of pids) if (isRunning(pid)) process.kill(pid, 'SIGKILL')
  })
  return pids
}

/** Runs a command to its end, with success. @returns its answer; it is one JSON object a line */
export async function ask(t: TestContext, ...args: string[]): Promise<Record<string, unknown>> {
  const run = handover(t, [...args, '--json'])
  assert.equal(await run.ended, 0, run.said())
  const answer = JSON.parse(run.stdout().trim().split('\n').at(-1) as string) as Record<string, unknown>
  if (typeof answer.pid === 'number') known.get(t)?.add(answer.pid)
  return answer
}
