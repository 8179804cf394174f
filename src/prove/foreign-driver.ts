import { type ChildProcess, exec, spawn } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { hostAndPort } from './address.js'
import { type Driver, DriverError, type WorkerView } from './driver.js'
import { endsWithUs, gone, leaves, signal } from './processes.js'
import { Tail } from './tail.js'

/** Milliseconds: until the command answers; for workers to be replaced by a reload; for the command to end. */
const START_TIME = 30_000
const RELOAD_TIME = 30_000
const STOP_TIME = 3_000
/** Milliseconds between looks at something that announces nothing. */
const LOOK = 20

export interface ForeignOptions {
  /** For the shell; leads a group of processes of its own. */
  command: string
  url: string
  /** For the shell; finds the command's process id as PID. Null: it cannot reload. */
  reloadCommand: string | null
  /** For the shell; writes process ids. Null: all that descend from the command and have no children. */
  workersCommand: string | null
  env: NodeJS.ProcessEnv
}

/** Any command that serves, seen from outside: what its workers have open it does not say. */
export class ForeignDriver implements Driver {
  readonly #tail = new Tail()
  #child: ChildProcess | null = null
  #unguard = (): void => {}

  constructor(private readonly options: ForeignOptions) {}

  async start(): Promise<string> {
    const { command, url, env } = this.options
    // `exec`, so that the process id is the command's own and not the shell's.
    const child = spawn('/bin/sh', ['-c', `exec ${command}`], {
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    this.#tail.follow(child)
    await once(child, 'spawn')
    this.#unguard = endsWithUs(child.pid ?? 0)
    const deadline = performance.now() + START_TIME
    while (!(await listens(url))) {
      if (child.exitCode !== null || child.signalCode !== null || performance.now() > deadline) {
        throw new DriverError(
          `nothing listens on ${url} after: ${command}\nThe program has to listen on the port in PORT, or --url says where it does.\n${this.output}`,
        )
      }
      await delay(LOOK)
    }
    return url
  }

  async reload(): Promise<void> {
    const { reloadCommand } = this.options
    if (reloadCommand === null) throw new DriverError('how does it reload? Say so with --reload-command')
    const before = (await this.workers()).map(({ pid }) => pid)
    await this.#shell(reloadCommand)
    // It may have begun only: a signal returns at once.
    if (!(await gone(before, RELOAD_TIME))) throw new DriverError(`after ${RELOAD_TIME} ms old workers are still there`)
    const deadline = performance.now() + RELOAD_TIME
    while ((await this.workers()).length < before.length && performance.now() < deadline) await delay(LOOK)
  }

  async workers(): Promise<WorkerView[]> {
    const { workersCommand } = this.options
    const pids =
      workersCommand === null
        ? leaves(this.#child?.pid ?? 0)
        : ((await this.#shell(workersCommand)).match(/\d+/g) ?? []).map(Number).filter((pid) => pid > 1)
    return pids.map((pid) => ({ pid, open: null }))
  }

  async stop(): Promise<void> {
    const child = this.#child
    if (child?.pid === undefined) return
    this.#unguard()
    const all = [child.pid, ...leaves(child.pid)]
    signal(-child.pid, 'SIGTERM')
    if (!(await gone(all, STOP_TIME))) for (const pid of all) signal(pid, 'SIGKILL')
    signal(-child.pid, 'SIGKILL')
    await gone(all, STOP_TIME)
  }

  get output(): string {
    return this.#tail.text
  }

  #shell(command: string): Promise<string> {
    const env = { ...this.options.env, PID: String(this.#child?.pid ?? '') }
    return new Promise((resolve, reject) => {
      exec(command, { env }, (error, stdout) => {
        if (error === null) resolve(stdout)
        else reject(new DriverError(`${error.message.trim()}\n${this.output}`))
      })
    })
  }
}

function listens(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(hostAndPort(url))
    const say = (is: boolean) => (): void => {
      socket.destroy()
      resolve(is)
    }
    socket.on('connect', say(true)).on('error', say(false))
  })
}
