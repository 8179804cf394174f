import type { Supervisor } from '../supervisor/supervisor.js'
import { movedHint } from './moved-programs.js'
import type { Printer } from './printer.js'

/** Puts into words what a supervisor does about its workers. */
export function narrateWork(supervisor: Supervisor, printer: Printer): void {
  supervisor.on('hung', (event) =>
    printer.warn(
      'hung',
      `worker ${event.worker} gives no sign of life for ${seconds(event.silent)}; another takes its place`,
      event,
    ),
  )
  supervisor.on('overLimit', (event) => {
    const { worker, what, value, limit } = event
    const shown = what === 'memory' ? mebibytes : milliseconds
    const text = `worker ${worker} is over its limit: ${what} ${shown(value)} of ${shown(limit)}; another takes its place`
    printer.warn('over-limit', text, event)
  })
  supervisor.on('replaced', (event) =>
    printer.info('replaced', `worker ${event.worker} is replaced (pid ${event.previous} drains)`, event),
  )
  supervisor.on('notReplaced', ({ worker, error }) =>
    printer.warn('not-replaced', `worker ${worker} could not be replaced: ${error.message}`, {
      worker,
      message: error.message,
    }),
  )
  supervisor.on('scaled', (event) => {
    const { group, from, to } = event
    const workers = `worker${to === 1 ? '' : 's'}${group === null ? '' : ` of ${group}`}`
    printer.info('scaled', `scaled from ${from} to ${to} ${workers}`, event)
  })
  supervisor.on('crashLoop', (event) => {
    const { worker, deaths, within, lastOutput = '' } = event
    const lacks = movedHint(lastOutput.split('\n'))
    const text = `worker ${worker} died ${deaths} times within ${seconds(within)}: its place is given up until a reload`
    printer.error('crash-loop', lacks === null ? text : `${text}. ${lacks}`, event)
  })
}

const seconds = (time: number): string => `${Math.round(time / 1000)} s`
const milliseconds = (time: number): string => `${time} ms`
const mebibytes = (bytes: number): string => `${Math.round(bytes / (1 << 20))} MiB`
