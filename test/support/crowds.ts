/** Many clients in a process of their own, which says what goes wrong. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import type { TestContext } from 'node:test'
import { isAlive } from './command.js'
import { fixture } from './paths.js'
import { type ChannelPeer, watched } from './peers.js'
import { said } from './programs.js'
import type { Supervised } from './supervised.js'
import { until } from './wait.js'

export interface Crowd extends ChannelPeer {
  /** Has it do something by a word. */
  tell(order: string): void
}

/** Starts a crowd, which ends with the test. */
export function crowd(t: TestContext, program: string, ...args: string[]): Crowd {
  const child = spawn(process.execPath, [fixture(program), ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
  return { ...watched(t, child), tell: (order) => void child.stdin?.write(`${order}\n`) }
}

/** Fails with what went wrong so far, on either side. */
export function nothingWrong(app: Supervised, clients: Crowd): void {
  assert.deepEqual([...said(app, 'wrong'), ...said(clients, 'wrong')].slice(0, 10), [])
}

/**
 * Reloads so often; each time all connections must be the new workers', and the old ones end by themselves with none cut.
 * @param between  what is waited for before each reload
 */
export async function reloads(
  app: Supervised,
  clients: Crowd,
  { times, connections, between }: { times: number; connections: number; between: () => Promise<void> },
): Promise<void> {
  const { supervisor } = app
  const cut: unknown[] = []
  supervisor.on('cut', (event) => cut.push(event))
  for (let generation = 2; generation <= times + 1; generation++) {
    await between()
    nothingWrong(app, clients)
    const before = app.pids()
    await supervisor.reload({ drainTimeout: 30_000 })
    assert.deepEqual(cut, [], 'no connection is cut')
    const { workers } = supervisor.status()
    assert.ok(workers.every((worker) => worker.generation === generation))
    await until(`${connections} are with generation ${generation}`, () => count(app) === connections).catch(() => {})
    nothingWrong(app, clients)
    assert.equal(count(app), connections)
    assert.deepEqual(before.filter(isAlive), [], 'the old workers are gone')
  }
  const ends = app.events.filter(({ name }) => name === 'ended').map(({ end }) => end)
  assert.deepEqual(ends, Array(ends.length).fill({ code: 0, signal: null }))
}

function count({ supervisor }: Supervised): number {
  return supervisor.status().workers.reduce((sum, { open }) => sum + open, 0)
}

/** Stops it all; no process may be left. */
export async function nobodyLeft(app: Supervised): Promise<void> {
  const pids = app.pids()
  await until('no connection is open', () => count(app) === 0)
  await app.supervisor.stop()
  assert.deepEqual(pids.filter(isAlive), [])
}
