import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { bin, scratch } from './paths.js'
import { until } from './wait.js'

export interface Command {
  child: ChildProcess
  /** All it wrote so far. */
  stdout(): string
  stderr(): string
  /** Waits for a line on either that matches; its first group, or the match. */
  line(pattern: RegExp): Promise<string>
  /** All it wrote on both. */
  said(): string
  /** Its exit code, or the signal that ended it. */
  ended: Promise<number | NodeJS.Signals | null>
  /** The same, but without waiting for others that hold its output open. */
  exited: Promise<number | NodeJS.Signals | null>
}

const folders = new WeakMap<TestContext, string>()

/** Where the control sockets of a test's supervisors are: nobody else's are there. */
export function controlFolder(t: TestContext): string {
  const folder = folders.get(t) ?? scratch(t)
  folders.set(t, folder)
  return folder
}

/** Runs `handover` as a user would, and ends it with the test. */
export function handover(
  t: TestContext,
  args: string[],
  /** `control`: the folder of control sockets; empty: as a user has it */
  options: { cwd?: string; env?: NodeJS.ProcessEnv; control?: string; uid?: number } = {},
): Command {
  const { control = controlFolder(t), env: given = process.env, ...rest } = options
  const env = { ...given, HANDOVER_CONTROL_DIR: control }
  return command(t, process.execPath, [bin, ...args], { ...rest, env })
}

export interface CommandOptions {
  cwd?: string
  /** The user it runs as. Default: this one. */
  uid?: number
  env?: NodeJS.ProcessEnv
  /** What it reads; its standard input does not end then. Default: it has none. */
  input?: string
  /** Descriptors that it finds as 3, 4 … */
  descriptors?: number[]
}

/** Milliseconds that others may hold the output of a command that was killed. */
const LEFT_OVER = 10_000

/** Runs any program, and ends it with the test. */
export function command(t: TestContext, file: string, args: string[], options: CommandOptions = {}): Command {
  const { input, descriptors = [], ...rest } = options
  const stdin = input === undefined ? 'ignore' : 'pipe'
  const child = spawn(file, args, { ...rest, stdio: [stdin, 'pipe', 'pipe', ...descriptors] })
  child.stdin?.on('error', () => {}).write(input)
  let out = ''
  let err = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    err += text
  })
  const ended = new Promise<number | NodeJS.Signals | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve(code ?? signal))
  })
  t.after(async () => {
    child.kill('SIGKILL')
    child.stdin?.destroy()
    if ((await Promise.race([ended.then(() => true), delay(LEFT_OVER, false, { ref: false })])) === false) {
      const left = endAllOf(options.env?.HANDOVER_CONTROL_DIR)
      await ended
      throw new Error(
        `processes ${left.join(', ')} were left over, with the output of: ${args.join(' ')}\n${out}${err}`,
      )
    }
  })
  return {
    child,
    stdout: () => out,
    stderr: () => err,
    said: () => out + err,
    ended,
    exited: new Promise((resolve) => child.on('exit', (code, signal) => resolve(code ?? signal))),
    async line(pattern) {
      await until(`a line ${pattern}`, () => pattern.test(out + err)).catch((error: Error) => {
        throw new Error(`${error.message}\n${out}\n${err}`)
      })
      const match = pattern.exec(out + err) as RegExpExecArray
      return match[1] ?? match[0]
    },
  }
}

/** Ends what a test that failed knows nothing of, such as the successor of an upgrade: it is told by its environment. */
function endAllOf(control: string | undefined): number[] {
  if (process.platform !== 'linux' || control === undefined) return []
  const left = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && environmentOf(name).includes(control))
  return left.map(Number).filter((pid) => pid !== process.pid && process.kill(pid, 'SIGKILL'))
}

function environmentOf(pid: string): string[] {
  try {
    const text = readFileSync(`/proc/${pid}/environ`, 'utf8')
    return text.split('\0').map((entry) => entry.slice(entry.indexOf('=') + 1))
  } catch {
    return [] // it is gone
  }
}

/** Whether a process is there (and is no zombie that its parent has not looked at). */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
