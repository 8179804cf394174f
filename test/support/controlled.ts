import { EventEmitter } from 'node:events'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { ControlClient } from '../../src/control/client.js'
import type { Controllable } from '../../src/control/controllable.js'
import { type ControlOptions, ControlServer } from '../../src/control/server.js'
import type { SupervisorStatus } from '../../src/supervisor/status.js'
import { scratch } from './paths.js'

/** A supervisor that does what the test says, and tells what it was asked for. */
export class FakeSupervisor extends EventEmitter implements Controllable {
  readonly asked: unknown[][] = []
  /** Settles the reloads that wait, first come first served. */
  readonly reloads: { resolve(result: { generation: number }): void; reject(error: Error): void }[] = []
  total = 0

  status(): SupervisorStatus {
    const { total } = this
    const worker = { id: '1', group: null, ready: true, draining: false, stalled: false, queued: 0, unclaimed: 0 }
    return {
      workers: [
        { ...worker, open: 0, total, limit: 1, worker: 1, generation: 1, pid: 77, state: 'ready', restarts: 0 },
      ],
      ports: [],
      dispatched: total,
      waiting: 0,
      undecided: 0,
      setbacks: {},
    } as unknown as SupervisorStatus
  }

  reload(options: object): Promise<{ generation: number }> {
    this.asked.push(['reload', options])
    return new Promise((resolve, reject) => this.reloads.push({ resolve, reject }))
  }

  async stop(milliseconds?: number): Promise<void> {
    this.asked.push(['stop', milliseconds])
  }

  async kill(): Promise<void> {
    this.asked.push(['kill'])
  }
}

export interface Controlled {
  server: ControlServer
  supervisor: FakeSupervisor
  path: string
  /** A client of it, closed with the test. */
  client(): Promise<ControlClient>
}

/** A control socket in front of a supervisor that is not real; both end with the test. */
export async function controlled(t: TestContext, options: Partial<ControlOptions> = {}): Promise<Controlled> {
  const supervisor = (options.supervisor as FakeSupervisor | undefined) ?? new FakeSupervisor()
  const path = join(scratch(t), 'app.sock')
  const server = await ControlServer.open({ name: 'app', path, supervisor, ...options })
  t.after(() => server.close())
  return {
    server,
    supervisor,
    path,
    async client() {
      const client = await ControlClient.connect(path)
      t.after(() => client.close())
      return client
    },
  }
}
