import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { ControlClient } from '../control/client.js'
import type { ControlStatus } from '../control/status-answer.js'
import { ownModule } from '../own-files.js'
import type { SocketAddress } from '../transport/address.js'
import { originAt } from './address.js'
import { type Driver, DriverError, type ScriptOptions, type WorkerView } from './driver.js'
import { endsWithUs, gone, signal } from './processes.js'
import { Tail } from './tail.js'

/** Milliseconds for all workers to listen; between looks whether they do; for open connections at the end; for everything to end. */
const START_TIME = 60_000
const LOOK = 50
const GRACE = 1_000
const STOP_TIME = 5_000

const COMMAND = fileURLToPath(ownModule('cli/main.js'))

/** `handover run`, asked over its control socket as the other commands do. */
export class CommandDriver implements Driver {
  readonly #tail = new Tail()
  #child: ChildProcess | null = null
  #unguard = (): void => {}
  /** The supervisor, which an upgrade replaces. */
  #pid = 0

  /** @param socket  a path for the control socket, in a folder of this user's own */
  constructor(
    private readonly options: ScriptOptions,
    private readonly socket: string,
  ) {}

  async start(): Promise<string> {
    const { script, args, workers, mode, env } = this.options
    const how = ['--workers', String(workers), ...(mode === undefined ? [] : ['--distribution', mode])]
    const words = [COMMAND, 'run', '--control', this.socket, '--json', ...how, script, ...args]
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
    await this.#do('reload', healthWindow === undefined ? {} : { healthWindow })
  }

  async upgrade(): Promise<void> {
    await this.#do('upgrade')
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
    await this.#do('stop', { milliseconds: GRACE }).catch(() => {})
    const all = [child.pid ?? 0, this.#pid, ...workers.map(({ pid }) => pid)].filter((pid) => pid > 0)
    if (await gone(all, STOP_TIME)) return
    for (const pid of all) signal(pid, 'SIGKILL')
    await gone(all, STOP_TIME)
  }

  get output(): string {
    return this.#tail.text
  }

  #status(): Promise<ControlStatus> {
    return this.#ask('status')
  }

  /** @throws {DriverError} it was not done, and why */
  async #do(command: string, options: object = {}): Promise<void> {
    await this.#ask(command, options).catch(({ message }: Error) => {
      throw new DriverError(`${command}: ${message}\n${this.output}`)
    })
  }

  async #ask<Result>(command: string, options: object = {}): Promise<Result> {
    const client = await ControlClient.connect(this.socket)
    this.#pid = client.pid
    try {
      return await client.request<Result>(command, options)
    } finally {
      client.close()
    }
  }
}

function serving(status: ControlStatus | null): ControlStatus['workers'] {
  return (status?.workers ?? []).filter((worker) => worker.ready && !worker.draining)
}
