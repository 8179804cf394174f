import { setTimeout as delay } from 'node:timers/promises'
import { registerBuiltinBootstraps } from '../bootstrap/builtin.js'
import { connect } from '../bootstrap/connect.js'
import { DRAIN_DEFAULT, ORPHAN_ASKS, ORPHAN_WAIT } from '../limits.js'
import type { DrainOrder, OrphanNotice } from '../wire/control.js'

/** The variable that says where a supervisor of this name is reached. */
const CONTROL_VARIABLE = 'HANDOVER_CONTROL'

registerBuiltinBootstraps()

/**
 * The master is gone. What is open is served on, until a successor that serves says to drain, or for half a minute. Keeps no
 * process alive: without connections there is nothing to wait for.
 * @param open  how many connections there are
 * @returns what to do then
 */
export async function untilSuccessor(open: () => number): Promise<DrainOrder> {
  const deadline = performance.now() + ORPHAN_WAIT
  const { [CONTROL_VARIABLE]: address, HANDOVER_WORKER, HANDOVER_GENERATION } = process.env
  const numbers = { worker: Number(HANDOVER_WORKER ?? 0), generation: Number(HANDOVER_GENERATION ?? 0) }
  for (let left = ORPHAN_WAIT; left > 0; left = deadline - performance.now()) {
    const notice: OrphanNotice = { type: 'orphan', ...numbers, pid: process.pid, open: open() }
    const order = address === undefined ? null : await ask(address, notice, left)
    if (order !== null) return order
    await delay(Math.min(ORPHAN_ASKS, Math.max(1, deadline - performance.now())), undefined, { ref: false })
  }
  return { type: 'drain', milliseconds: DRAIN_DEFAULT }
}

/** @returns null: nobody is there, or nobody who knows */
async function ask(address: string, notice: OrphanNotice, timeout: number): Promise<DrainOrder | null> {
  try {
    using channel = await connect(address, { timeout: Math.ceil(Math.min(timeout, ORPHAN_ASKS * 4)) })
    channel.unref()
    await channel.send(notice, [], { timeout: ORPHAN_ASKS * 4 })
    const deadline = performance.now() + timeout
    for (let left = timeout; left > 0; left = deadline - performance.now()) {
      const answer = await channel.receive<Partial<DrainOrder>>({ timeout: Math.ceil(left) })
      if (answer === null) return null
      const { type, milliseconds } = answer.message ?? {} // the first is its welcome
      const sound = type === 'drain' && Number.isSafeInteger(milliseconds) && (milliseconds as number) >= 0
      if (sound) return { type, milliseconds: milliseconds as number }
    }
    return null
  } catch {
    return null
  }
}
