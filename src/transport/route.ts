/** Where a connection is to go. Nothing in it: wherever the policy says. */
export interface Route {
  /** To the workers of this group. */
  readonly group?: string | undefined
  /** To this worker, by its id, while it has room; else as if this were not said. */
  readonly worker?: string | undefined
  /** To the worker of the group that connections of the same key go to, as long as the workers are the same. */
  readonly key?: string | undefined
}
