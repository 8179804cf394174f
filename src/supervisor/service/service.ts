import { activation } from '../../bootstrap/activation.js'
import { type Notifier, notifier } from '../../bootstrap/notify.js'
import { SERVICE_BARRIER, SERVICE_PORTS_WAIT, SERVICE_STATUS_INTERVAL } from '../../limits.js'
import { type HeirOptions, startHeir } from '../succession/start-heir.js'
import type { Supervisor } from '../supervisor.js'
import { PortStore } from './port-store.js'

/** What a service manager sets and programs started from here do not inherit; a successor needs it. */
const VARIABLES = ['NOTIFY_SOCKET', 'WATCHDOG_USEC'] as const

/**
 * A supervisor as a service of systemd (`Type=notify`): says when it serves, reloads, stops or is replaced, gives signs of
 * life, and keeps its ports in the descriptor store. Without a manager nothing is said, and nothing fails.
 * @see systemd.service(5), sd_notify(3)
 */
export class Service {
  readonly notifier: Notifier
  /** For the environment of a successor. */
  readonly environment: NodeJS.ProcessEnv
  readonly #store: PortStore
  readonly #failed: (error: Error) => void
  #said = ''
  #end: () => void = () => {}

  /**
   * Takes what the manager has set in the environment, and what it has passed.
   * @param failed  hears what could not be told to the manager
   * @throws {HandoverError} ERR_HANDOVER_ACTIVATION: a variable of the manager is not as it sets it
   */
  constructor(failed: (error: Error) => void = () => {}, environment: NodeJS.ProcessEnv = process.env) {
    const set = VARIABLES.filter((name) => environment[name] !== undefined)
    this.environment = Object.fromEntries(set.map((name) => [name, environment[name]]))
    this.notifier = notifier(environment, { unset: true })
    this.#store = new PortStore(this.notifier, activation(environment), failed)
    this.#failed = failed
  }

  /** Goes with a supervisor: before it is started, or once it has taken over. */
  attend(supervisor: Supervisor): void {
    supervisor.keepPorts(this.#store)
    supervisor.on('reloading', ({ generation }) =>
      this.#tell(this.notifier.reloading(`starting generation ${generation}`)),
    )
    const over = (): void => this.#ready(supervisor)
    for (const end of ['switched', 'rolledBack', 'notReloaded'] as const) supervisor.on(end, over)
    const timer = setInterval(() => this.#status(supervisor), SERVICE_STATUS_INTERVAL).unref()
    const stopWatchdog = this.notifier.startWatchdog()
    this.#end = () => {
      clearInterval(timer)
      stopWatchdog()
    }
  }

  #status(supervisor: Supervisor): void {
    const line = lineOf(supervisor)
    if (line !== this.#said) this.#tell(this.notifier.status(line))
    this.#said = line
  }

  /** The supervisor serves. What was passed and nobody asks for within ten seconds is closed. */
  serving(supervisor: Supervisor): void {
    this.#ready(supervisor)
    const end = this.#end
    const timer = setTimeout(() => this.#store.closeRest(), SERVICE_PORTS_WAIT).unref()
    this.#end = () => {
      clearTimeout(timer)
      end()
    }
  }

  #ready(supervisor: Supervisor): void {
    this.#said = lineOf(supervisor)
    this.#tell(this.notifier.ready(this.#said))
  }

  /** It stops. Its ports stay in the store: a restart finds them, and whatever waits there. */
  stopping(): void {
    this.#tell(this.notifier.stopping())
  }

  /**
   * Replaces the supervisor by a new version of this program, and settles when the manager knows its new main process: all
   * that is left to do is to exit. @returns its pid
   * @throws {HandoverError} ERR_HANDOVER_NOT_REPLACED: it goes on as before. @see startHeir
   */
  async upgrade(supervisor: Supervisor, options: HeirOptions = {}): Promise<number> {
    const pid = await startHeir(supervisor, {
      ...options,
      env: { ...(options.env ?? process.env), ...this.environment },
      frozen: () => {
        this.#store.closeRest() // nobody but this process knows of it
        options.frozen?.()
      },
    })
    await this.replacedBy(pid)
    return pid
  }

  /** A successor has everything: settles when the manager knows, and this process may exit. */
  async replacedBy(pid: number): Promise<void> {
    this.#end()
    try {
      await this.notifier.mainPid(pid)
      await this.notifier.barrier(SERVICE_BARRIER) // who is gone when its word is read is no service's
    } catch (error) {
      this.#failed(error as Error)
    }
  }

  /** Nothing more is said. What was passed and nobody asked for stays in the store, for the next start. */
  end(): void {
    this.#end()
    this.#store.close()
  }

  #tell(told: Promise<boolean>): void {
    told.catch(this.#failed)
  }
}

/** One line for `systemctl status`. */
function lineOf(supervisor: Supervisor): string {
  const { workers } = supervisor.status()
  const generations = [...new Set(workers.map(({ generation }) => generation))]
  const ready = workers.filter((worker) => worker.ready && !worker.draining).length
  const open = workers.reduce((sum, worker) => sum + worker.open, 0)
  const which = generations.length === 1 ? `generation ${generations[0]}` : `generations ${generations.join(', ')}`
  return `${ready} of ${workers.length} workers ready, ${which}, ${open} connections open`
}
