import { basename, resolve } from 'node:path'
import type { Settled } from '../config/settle.js'
import { HEALTH_WINDOW_DEFAULT } from '../limits.js'
import { type SupervisorOptions, settleOptions } from '../supervisor/options.js'
import { Supervisor } from '../supervisor/supervisor.js'
import { UsageError } from './options.js'
import { placeOf } from './steer.js'

/** What options say was checked: what is wrong here stands in a module or in the configuration. @throws {UsageError} */
export function checkedOptions({ supervisor, path, from, values }: Settled): SupervisorOptions {
  const { script, groups } = supervisor
  const own = Object.values(groups ?? {})
  if (script === undefined && (own.length === 0 || own.some((group) => group?.script === undefined))) {
    throw new UsageError('no script: name one (`handover run server.js`), or say `script` in handover.config.ts')
  }
  try {
    settleOptions(supervisor)
    return supervisor
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error
    const module = typeof values.handshake === 'string' && from.get('handshake') === 'flag' ? values.handshake : null
    if (module === null && path === null) throw error
    throw new UsageError(`${module === null ? basename(path as string) : `--handshake ${module}`}: ${error.message}`)
  }
}

export function supervisorOf(settled: Settled): Supervisor {
  const options = checkedOptions(settled)
  return new Supervisor({ batchScheduling: true, healthWindow: HEALTH_WINDOW_DEFAULT, ...options, ...askOf(settled) })
}

/** Where workers that wait for the next supervisor find it: in the place of this one's control socket. */
function askOf({ values: { orphans, script = 'handover', name, control } }: Settled): { orphansAsk?: string } {
  if (orphans !== 'wait' || control === false) return {}
  try {
    return { orphansAsk: `unix:${resolve(placeOf({ script, name, control }).path)}` }
  } catch {
    return {} // whoever makes the socket says what is wrong
  }
}
