import { type Driver, DriverError, type ScriptOptions, type WorkerView } from './driver.js'
import { Helper } from './helper.js'

/** `Supervisor` in a process of its own, without the command around it. */
export class LibraryDriver implements Driver {
  readonly #master = new Helper('library-master.js')

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

  async stop(): Promise<void> {
    await this.#master.call('stop').catch(() => {})
    await this.#master.end()
  }

  get output(): string {
    return this.#master.output.text
  }
}
