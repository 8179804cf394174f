import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { ControlClient } from '../control/client.js'
import type { ControlStatus } from '../control/status-answer.js'
import type { SocketAddress } from '../transport/address.js'
import { originAt } from './address.js'
import { type Driver, DriverError, type ScriptOptions, type WorkerView } from './driver.js'
import { endsWithUs, gone, signal } from './processes.js'
import { Tail } from './tail.js'

/** Milliseconds for all workers to listen; between looks whether they do; for everything to end. */
const START_TIME = 60_000
const LOOK = 50
const STOP_TIME = 5_000

const COMMAND = fileURLToPath(new URL('../cli/main.js', import.meta.url))

/** `handover run` and the commands that speak to it, as operators use them. */
export class CommandDriver implements Driver {
  readonly #tail = new Tail()
  readonly #control: readonly string[]
  #child: ChildProcess | null = null
  #unguard = (): void => {}
  /** The supervisor, which an upgrade replaces. */
  #pid = 0

  /** @param socket  a path for the control socket, in a folder of this user's own */
  constructor(
    private readonly options: ScriptOptions,
    private readonly socket: string,
  ) {
    this.#control = ['--control', socket]
  }

  async start(): Promise<string> {
    const { script, args, workers, mode, env } = this.options
    const how = ['--workers', String(workers), ...(mode === undefined ? [] : ['--distribution', mode])]
    const words = [COMMAND, 'run', ...this.#control, '--json', ...how, script, ...args]
    // In a session of its own: the terminal's Ctrl-C is for the one that proves, which stops this one.
    const child = spawn(process.execPath, words, { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    this.#tail.follow(child)
    await once(child, 'spawn')
    this.#unguard = endsWithUs(child.pid ?? 0)
    const deadline = performance.now() + START_TIME
    for (;;) {
      const status = await this.#status().catch(() => null)
      const port = status?.ports.find((one): one is SocketAddress => typeof one !== 'string')
      if (port !== undefined && serving(status).length >= workers) return originAt(port)
      if (child.exitCode !== null || child.signalCode !== null || performance.now() > deadline) {
        throw new DriverError(`${script} does not start, or listens on no TCP port\n${this.output}`)
      }
      await delay(LOOK)
    }
  }

  async reload(): Promise<void> {
    const { healthWindow } = this.options
    await this.#ask('reload', ...(healthWindow === undefined ? [] : ['--health-window', String(healthWindow)]))
  }

  async upgrade(): Promise<void> {
    await this.#ask('upgrade')
    await this.#status() // which process it is now
    this.#unguard()
    this.#unguard = endsWithUs(this.#pid)
  }

  async workers(): Promise<WorkerView[]> {
    return serving(await this.#status()).map(({ pid, open }) => ({ pid, open }))
  }

  async stop(): Promise<void> {
    const child = this.#child
    if (child === null) return
    this.#unguard()
    const workers = await this.workers().catch(() => [])
    await this.#ask('stop', '--timeout', '1').catch(() => {})
    const all = [child.pid ?? 0, this.#pid, ...workers.map(({ pid }) => pid)].filter((pid) => pid > 0)
    if (await gone(all, STOP_TIME)) return
    for (const pid of all) signal(pid, 'SIGKILL')
    await gone(all, STOP_TIME)
  }

  get output(): string {
    return this.#tail.text
  }

  async #status(): Promise<ControlStatus> {
    const client = await ControlClient.connect(this.socket)
    this.#pid = client.pid
    try {
      return await client.request<ControlStatus>('status')
    } finally {
      client.close()
    }
  }

  /** @throws {DriverError} it was not done: what the command said */
  async #ask(command: string, ...words: string[]): Promise<void> {
    const all = [COMMAND, command, ...this.#control, ...words]
    const child = spawn(process.execPath, all, { env: this.options.env, stdio: ['ignore', 'pipe', 'pipe'] })
    const tail = new Tail()
    tail.follow(child)
    const [code] = await once(child, 'close')
    if (code !== 0) throw new DriverError(`handover ${command} ended with ${code}\n${tail.text}\n${this.output}`)
  }
}

function serving(status: ControlStatus | null): ControlStatus['workers'] {
  return (status?.workers ?? []).filter((worker) => worker.ready && !worker.draining)
}
