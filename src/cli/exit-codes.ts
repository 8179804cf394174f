/** Exit codes by class, as in the tools of the field. */
export const ExitCode = {
  ok: 0,
  /** The operation failed: workers end before they listen, a reload was undone. What served before serves on. */
  failed: 1,
  /** No supervisor runs by this name: 3 is what init scripts say of a service that does not run (LSB). */
  notRunning: 3,
  /** Bad arguments: nothing was started or changed. */
  usage: 100,
  /** The system refused: a port is taken, a permission or a resource is missing. Trying again later may help. */
  system: 111,
  /** A second Ctrl-C; or one that ended the waiting for a supervisor, which goes on. */
  interrupted: 130,
} as const
