import { createLogUpdate } from 'log-update'
import type { Supervisor } from '../supervisor/supervisor.js'
import { coloursFor } from './colours.js'
import type { Printer, Write } from './printer.js'
import { sized } from './terminal.js'

const pc = coloursFor(process.stdout)
const REFRESH = 500
const PLAIN_INTERVAL = 5_000

interface Row {
  worker: number
  pid: number
  state: string
  open: number
  total: number
  perSecond: number
}

/** Rates come from the difference to the last look, by worker process: a successor starts at zero. */
class Rates {
  #last = new Map<number, { total: number; time: number }>()

  rows(supervisor: Supervisor): Row[] {
    const time = performance.now()
    return supervisor.status().workers.map(({ worker, pid, state, open, total }) => {
      const before = this.#last.get(worker)
      this.#last.set(worker, { total, time })
      const fresh = before === undefined || total < before.total
      const perSecond = fresh ? 0 : Math.round(((total - before.total) * 1000) / (time - before.time))
      return { worker, pid, state, open, total, perSecond }
    })
  }
}

function text({ worker, pid, state, open, total, perSecond }: Row): string {
  return `worker ${worker}  pid ${pid}  ${state.padEnd(8)} open ${String(open).padStart(6)}  total ${String(total).padStart(9)}  ${String(perSecond).padStart(7)}/s`
}

/** One line a worker, kept up to date below the log. */
export function liveView(stream: NodeJS.WriteStream): {
  write: Write
  watch(supervisor: Supervisor): void
  end(): void
} {
  const view = createLogUpdate(sized(stream))
  const rates = new Rates()
  let supervisor: Supervisor | null = null
  let timer: NodeJS.Timeout | null = null
  const draw = (): void => {
    if (supervisor !== null)
      view(
        rates
          .rows(supervisor)
          .map((row) => pc.dim(text(row)))
          .join('\n'),
      )
  }
  return {
    write: (line) => {
      view.clear()
      stream.write(`${line}\n`)
    },
    watch: (watched) => {
      supervisor = watched
      timer = setInterval(draw, REFRESH)
      timer.unref()
    },
    end: () => {
      if (timer !== null) clearInterval(timer)
      supervisor = null
      view.done()
    },
  }
}

/** The same where there is no terminal: a log line a worker every few seconds, when something happened. */
export function plainView(printer: Printer, supervisor: Supervisor): { end(): void } {
  const rates = new Rates()
  const timer = setInterval(() => {
    for (const row of rates.rows(supervisor))
      if (row.perSecond > 0 || row.open > 0) printer.info('status', text(row), row)
  }, PLAIN_INTERVAL)
  timer.unref()
  return { end: () => clearInterval(timer) }
}
