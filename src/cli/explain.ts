import { HandoverError, SyscallError } from '../errors.js'
import { limitHint } from './check/descriptors.js'
import { ExitCode } from './exit-codes.js'
import type { Printer } from './printer.js'

/** What is known of workers that fail. */
export interface Failing {
  /** Its number; 0: it is not known which. */
  worker: number
  /** Some were ready before. */
  served: boolean
  /** What to do about what their program lacks. */
  lacks: string | null
}

/** Says in one line why `handover run` ends: what went wrong, and what to do. @returns the exit code */
export function explain(error: unknown, printer: Printer, { worker, served, lacks }: Failing): number {
  if (error instanceof SyscallError) {
    const { address, port, code } = error
    const where = address === undefined ? '' : ` on ${address}${port === undefined ? '' : ` port ${port}`}`
    printer.error('failed', `cannot listen${where}: ${error.message}. ${error.hint}`, { code, address, port })
    return ExitCode.system
  }
  if (error instanceof HandoverError) {
    const { code, message, hint } = error
    if (code === 'ERR_HANDOVER_CONTROL') {
      printer.error('failed', message, { code })
      return ExitCode.system
    }
    const nothing = served ? 'nothing serves any more' : 'nothing listens'
    const { code: cause } = (error.cause ?? {}) as NodeJS.ErrnoException
    if (cause === 'EMFILE' || cause === 'ENFILE') {
      const more = cause === 'EMFILE' ? limitHint() : 'the whole system is at its limit: raise fs.file-max'
      printer.error('failed', `${nothing}, worker ${worker} failed: ${message}; ${more}`, { code: cause, worker })
      return ExitCode.system
    }
    const which = worker > 0 ? `${nothing}, worker ${worker} failed: ` : ''
    printer.error('failed', `${which}${message}. ${(worker > 0 ? lacks : null) ?? hint}`, { code, worker })
    return ExitCode.failed
  }
  throw error
}
