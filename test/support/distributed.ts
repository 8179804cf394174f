/** What is used of the ways in which connections get to workers other than by the master's choice. */
import assert from 'node:assert/strict'
import type { DistributionMode } from '../../src/index.js'
import { type Answer, get, type Where } from './client.js'
import type { Supervised } from './supervised.js'
import { until } from './wait.js'

export const MODES: readonly DistributionMode[] = ['share', 'reuseport']

/** Waits until every worker that is there accepts by itself. */
export function allAccept({ supervisor }: Supervised): Promise<void> {
  return until('every worker accepts by itself', () => supervisor.status().workers.every(({ accepts }) => accepts))
}

export interface Load {
  /** Waits until so many more are answered. */
  more(count: number): Promise<void>
  /** What was answered, and how requests failed. */
  stop(): Promise<{ bodies: string[]; failed: string[] }>
}

/** Asks in several lanes without a pause, over a connection each time, until told to stop. */
export function load(where: Where, lanes: number): Load {
  let on = true
  const bodies: string[] = []
  const failed: string[] = []
  const lane = async (): Promise<void> => {
    while (on) {
      await get(where).then(
        ({ status, body }: Answer) => {
          assert.equal(status, 200)
          bodies.push(body)
        },
        (error: Error & { code?: string }) => void failed.push(error.code ?? error.message),
      )
    }
  }
  const done = Promise.all(Array.from({ length: lanes }, lane))
  done.catch(() => {})
  return {
    more: (count) => {
      const least = bodies.length + count
      return until(`${count} more are answered`, () => bodies.length >= least)
    },
    stop: async () => {
      on = false
      await done
      return { bodies, failed }
    },
  }
}
