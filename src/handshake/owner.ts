import type { ArrivalNote } from '../transport/arrival-note.js'
import type { Candidate } from './candidate.js'
import type { Setback } from './setback.js'

/** Who hands over what is decided. */
export interface HandshakeOwner {
  /** Gives the descriptor. */
  decided(descriptor: number, note: ArrivalNote): void
  /** All that could be decided for now is. */
  settled(): void
  /** Something else became of a connection; what `otherwise` says follows. Clients that just went are not told of. */
  setback(setback: Setback, reason: string, connection: Candidate): void
}
