import { HandoverError, SyscallError } from '../errors.js'
import { CONTROL_OUTPUT_LINES } from '../limits.js'
import { type Failed, fieldsOf } from './messages.js'

/** The class of a failure, as an exit code. */
export function exitOf(error: unknown): number {
  if (error instanceof TypeError || error instanceof RangeError) return 100
  if (error instanceof HandoverError && error.code === 'ERR_HANDOVER_UNSUPPORTED') return 100
  return error instanceof SyscallError ? 111 : 1
}

/** A failure as a client is told it. */
export function failureOf(id: number | null, error: unknown): Failed {
  const { code, name, message, hint, output } = (error ?? {}) as Record<string, unknown>
  const lines = linesOf(output)
  return {
    type: 'failed',
    id,
    code: String(code ?? name ?? 'Error'),
    message: String(message ?? error),
    ...(typeof hint === 'string' && hint !== '' ? { hint } : {}),
    exit: exitOf(error),
    ...(lines.length > 0 ? { output: lines } : {}),
  }
}

/** What workers last wrote, whether as text, as lines, or as events of lines. */
function linesOf(output: unknown): string[] {
  const all = typeof output === 'string' ? output.split('\n') : Array.isArray(output) ? output : []
  const lines = all.map((line) => {
    const fields = fieldsOf(line)
    if (fields === null) return String(line)
    return fields.worker === undefined ? String(fields.text) : `[${fields.worker}] ${fields.text}`
  })
  return lines.slice(-CONTROL_OUTPUT_LINES)
}

/** @throws {HandoverError} always: ERR_HANDOVER_UNSUPPORTED */
export function unsupported(what: string): never {
  throw new HandoverError('ERR_HANDOVER_UNSUPPORTED', `${what} is not supported by this supervisor`)
}
