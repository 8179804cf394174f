import assert from 'node:assert/strict'
import type { Target, TargetStatus } from '../../src/dispatch/target.js'
import { close } from '../../src/syscalls/descriptor.js'
import type { Arrivals } from '../../src/transport/arrivals.js'

/** A target in this process, that holds what it is given until the test finishes it. */
export class FakeTarget implements Target {
  readonly held: number[] = []
  flushes = 0
  taken = 0
  ready = true

  constructor(
    readonly id: string,
    readonly limit = 100,
    readonly group: string | null = null,
  ) {}

  get capacity(): number {
    return this.ready ? this.limit : 0
  }

  get load(): number {
    return this.held.length
  }

  get room(): number {
    return this.ready ? this.limit - this.load : 0
  }

  take(arrivals: Arrivals, index: number): void {
    assert.ok(this.room > 0, 'never given more than its room')
    this.held.push(arrivals.descriptor(index))
    this.taken += 1
  }

  flush(): void {
    this.flushes += 1
  }

  finish(count: number): void {
    for (const descriptor of this.held.splice(0, count)) close(descriptor)
  }

  status(): TargetStatus {
    const { id, ready, load, taken, limit } = this
    return {
      id,
      group: this.group,
      ready,
      draining: false,
      stalled: false,
      queued: 0,
      unclaimed: 0,
      open: load,
      total: taken,
      limit,
    }
  }
}
