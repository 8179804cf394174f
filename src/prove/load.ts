// The process that asks and measures: started by `Load`.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Crowd, type CrowdOptions } from './crowd.js'
import { answerCalls } from './helper.js'
import { Ledger, type Tally } from './ledger.js'

/** Milliseconds; what an idle loop shows as its delay. */
const RESOLUTION = 5

const ledger = new Ledger()
const lag = monitorEventLoopDelay({ resolution: RESOLUTION })
let crowd: Crowd | null = null

answerCalls({
  start: (options: CrowdOptions): void => {
    lag.enable()
    crowd = new Crowd(options, ledger)
  },
  phase: (name: string): void => {
    ledger.phase = name
  },
  progress: (): { settled: number; lost: number } => ({ settled: ledger.settled, lost: ledger.lost }),
  stop: async (): Promise<Tally> => {
    ledger.closing = true
    await crowd?.stop()
    return ledger.tally(Math.max(0, lag.max / 1e6 - RESOLUTION))
  },
})
