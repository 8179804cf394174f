import type { ListeningPort, ListenOptions } from '../transport/listening-port.js'

/** Whoever keeps ports beyond the end of this process, and had some before its start. */
export interface PortKeeper {
  /** A port that listens there already. Gives it, with the name it is kept under; null there: it is not ours to forget. */
  find(options: ListenOptions): { port: ListeningPort; name: string | null } | null
  /** A port was opened. Borrows it. @returns the name it is kept under; null: it is not kept */
  opened(port: ListeningPort): string | null
  /** Nobody listens there any more. */
  closed(name: string): void
}
