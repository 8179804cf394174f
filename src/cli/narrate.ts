import { printable } from '../arguments.js'
import { tellingOf } from '../control/controllable.js'
import type { SyscallError } from '../errors.js'
import type { SupervisorEvents } from '../supervisor/events.js'
import type { Supervisor } from '../supervisor/supervisor.js'
import { narrateWork } from './narrate-work.js'
import { addressText, type Printer } from './printer.js'
import { endText, stepText } from './words.js'

/** Milliseconds in which the same complaint is made once. */
const QUIET = 5_000

/** Puts a supervisor's events into words. */
export function narrate(supervisor: Supervisor, printer: Printer): void {
  const seldom = throttled(printer)
  narrateWork(supervisor, printer)
  /** Why each worker was last refused a port: a program that does not handle it ends without a word of its own. */
  const refusals = new Map<number, string>()
  supervisor.on('listening', ({ address }) =>
    printer.info('listening', `listening on ${addressText(address)}`, { address }),
  )
  supervisor.on('ready', ({ worker, pid }) =>
    printer.info('ready', `worker ${worker} ready (pid ${pid})`, { worker, pid }),
  )
  supervisor.on('started', ({ worker }) => refusals.delete(worker))
  supervisor.on('refused', ({ worker, error }) => refusals.set(worker, `it could not listen: ${error.message}`))
  supervisor.on('line', (event) => printer.worker(event))
  supervisor.on('ended', (event) => {
    const several = supervisor.status().generations.length > 1
    ended(event, several ? ` of generation ${event.generation}` : '', refusals.get(event.worker), printer)
  })
  supervisor.on('broken', ({ worker, error }) =>
    printer.warn('broken', `worker ${worker}: its channel broke (${error.message})`, { worker, ...codes(error) }),
  )
  supervisor.on('stalled', ({ worker, unclaimed }) =>
    printer.warn(
      'stalled',
      `worker ${worker} is stalled: ${unclaimed} connections wait for it, new ones go to others`,
      {
        worker,
        unclaimed,
      },
    ),
  )
  supervisor.on('recovered', ({ worker }) => printer.info('recovered', `worker ${worker} goes on`, { worker }))
  supervisor.on('cut', ({ worker, connections }) =>
    printer.warn('cut', `drain timeout: ${connections} connections of worker ${worker} are cut`, {
      worker,
      connections,
    }),
  )
  for (const name of ['reloading', 'switched', 'healthy', 'reloaded'] as const) {
    tellingOf(supervisor).on(name, (event) => printer.info(name, stepText({ ...event, event: name }), event))
  }
  tellingOf(supervisor).on('rolledBack', (event) => {
    printer.warn('rolledBack', stepText({ ...event, event: 'rolledBack' }), event)
  })
  supervisor.on('exhausted', ({ error }) =>
    seldom('exhausted', `no free descriptor to accept with; clients wait. ${error.hint}`, codes(error)),
  )
  supervisor.on('returned', ({ worker, connections }) =>
    seldom('returned', `worker ${worker} could not take ${connections} connections; others get them`, {
      worker,
      connections,
    }),
  )
  supervisor.on('setback', (event) => printer.warn('setback', setbackText(event), event))
  supervisor.on('policyError', ({ error }) =>
    seldom('policy-error', `the policy threw; least-connections decides instead (${error})`),
  )
}

function setbackText({ setback, reason, peer, connections }: SupervisorEvents['setback'][0]): string {
  const what = connections === 1 ? 'a connection' : `${connections} connections`
  const became = setback === 'refused' ? 'turned away' : `not handed over as asked (${setback})`
  return `${what} ${became}: ${printable(reason)}${peer === null ? '' : `, last from ${peer}`}`
}

/** @param which  of the workers with that number, where there are several */
function ended(
  event: SupervisorEvents['ended'][0],
  which: string,
  refusal: string | undefined,
  printer: Printer,
): void {
  const { worker, pid, end, expected, restartIn } = event
  const fields = { worker, pid, code: end.code, signal: end.signal, expected, restartIn }
  const why = refusal === undefined ? '' : `; ${refusal}`
  const what = `worker ${worker}${which} ended (${endText(end)}${why})`
  if (expected) printer.info('ended', what, fields)
  // With neither, the start has failed: the one line that says why is still to come.
  else if (restartIn !== null) printer.warn('ended', `${what}; another starts in ${restartIn} ms`, fields)
}

function codes(error: Error): object {
  const { code, errno, syscall } = error as Partial<SyscallError>
  return { code, errno, syscall, message: error.message }
}

function throttled(printer: Printer): Printer['warn'] {
  const last = new Map<string, number>()
  return (event, text, fields) => {
    const now = Date.now()
    if (now - (last.get(event) ?? 0) < QUIET) return
    last.set(event, now)
    printer.warn(event, text, fields)
  }
}
