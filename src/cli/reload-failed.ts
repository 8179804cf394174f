import type { HandoverError } from '../errors.js'
import { movedHint } from './moved-programs.js'
import type { Printer } from './printer.js'

/** What says that a reload failed, whoever asked for it. Where everything is being stopped, or is another's, it did not. */
export function reloadFailed(printer: Printer): (error: Error) => void {
  return (error) => {
    const { code, message, hint, output = [] } = error as Error & Partial<HandoverError>
    if (code === 'ERR_HANDOVER_STOPPED') return
    const more = movedHint(output) ?? hint
    const text = `reload failed, the old workers serve on: ${message}${more ? `. ${more}` : ''}`
    printer.warn('reload-failed', text, { code, message })
  }
}
