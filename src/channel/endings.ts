/** What is said of the end of a channel, and of what was refused. */
import { dispositionOf, HandoverError, SyscallError } from '../errors.js'
import type { Peer } from './options.js'

export function closedHere(cause?: Error | null): HandoverError {
  return new HandoverError('ERR_HANDOVER_CLOSED', 'the channel was closed before the peer took what was offered', {
    cause,
  })
}

export function peerGone(cause: Error | null): HandoverError {
  return new HandoverError('ERR_HANDOVER_PEER_GONE', 'the peer ended before it took what was offered', { cause })
}

/** Why a channel did not open, whose end had nothing more to say. */
export function closedBeforeHello(): HandoverError {
  return new HandoverError('ERR_HANDOVER_NO_HELLO', 'the other side closed the connection before it said hello')
}

export function saidNothing(milliseconds: number): HandoverError {
  return new HandoverError('ERR_HANDOVER_NO_HELLO', `the peer said nothing within ${milliseconds} ms`)
}

export function unanswered(): HandoverError {
  return new HandoverError('ERR_HANDOVER_TIMED_OUT', 'the peer did not answer a withdrawal: the channel was cut')
}

export function takesNothing(): HandoverError {
  return new HandoverError('ERR_HANDOVER_UNSUPPORTED', 'the peer takes no offers')
}

/** Says in the program's own log that something of the peer's was refused. */
export function warnRefused(error: HandoverError, peer: Peer | null): void {
  process.emitWarning(`${error.message} (from process ${peer?.pid})`, {
    code: 'HANDOVER_REFUSED',
    type: 'HandoverWarning',
  })
}

/**
 * What a read that ended means: null, an orderly end, or that the peer is gone; undefined: it goes on, sooner or later.
 * @param last  nothing will be read later
 */
export function endOf(errno: number, last: boolean): SyscallError | null | undefined {
  const error = errno === 0 ? null : new SyscallError(errno, 'recvmsg')
  if (error === null || isLoss(error)) return null
  return !last && ['wait', 'retry', 'shed'].includes(dispositionOf(errno)) ? undefined : error
}

export function linkFull(): HandoverError {
  return new HandoverError('ERR_HANDOVER_OUTBOX_FULL', 'the channel holds as many descriptors as it may')
}

export function linkClosed(): HandoverError {
  return new HandoverError('ERR_HANDOVER_CLOSED', 'the channel is closed')
}

export function outboxFull(bytes: number): HandoverError {
  return new HandoverError('ERR_HANDOVER_OUTBOX_FULL', `${bytes} bytes wait for a peer that does not read`)
}

/** How a socket pair ends when the peer dies with unread data: the same to us as an orderly end. */
const LOSSES: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE'])

export function isLoss({ code }: SyscallError): boolean {
  return LOSSES.has(code)
}

/** What looking for the peer again does not heal: somebody else is there, or another release. */
const HOPELESS: ReadonlySet<string> = new Set(['ERR_HANDOVER_VERSION', 'ERR_HANDOVER_BAD_FRAME'])

export function isHopeless(error: Error | null): boolean {
  return HOPELESS.has((error as { code?: string } | null)?.code ?? '')
}
