import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Driver, DriverError, type ScriptOptions, type WorkerView } from './driver.js'
import { Helper } from './helper.js'

/** `Supervisor` in a process of its own, without the command around it. */
export class LibraryDriver implements Driver {
  #master = new Helper('library-master.js')

  constructor(private readonly options: ScriptOptions) {}

  async start(): Promise<string> {
    return this.#master.call<string>('start', this.options).catch((error: Error) => {
      throw new DriverError(`${this.options.script} does not start: ${error.message}`)
    })
  }

  reload(): Promise<void> {
    return this.#master.call('reload')
  }

  workers(): Promise<WorkerView[]> {
    return this.#master.call('workers')
  }

  /** Another process takes over, as a new release would. */
  async upgrade(): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), 'handover-prove-'))
    const path = join(folder, 'successor.sock')
    const before = this.#master
    const after = new Helper('library-master.js')
    try {
      await before.call('offer', path)
      await after.call('takeOver', { ...this.options, path })
      await before.call('leave')
      this.#master = after
      await before.end()
    } catch (error) {
      if (this.#master !== after) await after.end()
      throw new DriverError(`it is not replaced: ${(error as Error).message}`)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }

  async stop(): Promise<void> {
    await this.#master.call('stop').catch(() => {})
    await this.#master.end()
  }

  get output(): string {
    return this.#master.output.text
  }
}
