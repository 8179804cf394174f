/** Exit codes by class, as in the tools of the field. */
export const ExitCode = {
  ok: 0,
  /** The operation failed: workers end before they listen. */
  failed: 1,
  /** Bad arguments: nothing was started. */
  usage: 100,
  /** The system refused: a port is taken, a permission or a resource is missing. Trying again later may help. */
  system: 111,
  /** A second Ctrl-C. */
  interrupted: 130,
} as const
