/** `handover run` as a service: started with what its manager keeps, replaced, killed, and started again. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { ControlClient } from '../../src/control/client.js'
import type { ControlStatus } from '../../src/control/status-answer.js'
import { processesOf } from './asked.js'
import { type Command, command, controlFolder } from './command.js'
import type { StoringManager } from './notify-manager.js'
import { bin } from './paths.js'
import { isRunning } from './successions.js'
import { until } from './wait.js'

export interface ServiceOptions {
  /** Of `handover run`. */
  words: string[]
  script: string
  env?: NodeJS.ProcessEnv
  /** Whom it tells, and who gives it what is kept. Default: nobody. */
  manager?: StoringManager
}

/** Starts one with two workers, which are ready; all its processes end with the test. */
export async function service(t: TestContext, options: ServiceOptions): Promise<Command> {
  const run = started(t, options)
  await run.line(/(?:worker \d ready[\s\S]*){2}/)
  await statusOf(t)
  return run
}

/** The same without waiting for anything. */
export function started(t: TestContext, options: ServiceOptions): Command {
  const { words, script, manager, env } = options
  const pids = processesOf(t)
  const kept = [...(manager?.kept ?? [])]
  const main = [bin, 'run', '-w', '2', ...words, script]
  const run = command(t, '/bin/sh', ['-c', 'LISTEN_PID=$$ exec "$0" "$@"', process.execPath, ...main], {
    descriptors: kept.map(([, descriptor]) => descriptor),
    env: {
      ...process.env,
      HANDOVER_CONTROL_DIR: controlFolder(t),
      LISTEN_FDS: String(kept.length),
      LISTEN_FDNAMES: kept.map(([name]) => name).join(':'),
      ...(manager === undefined ? {} : { NOTIFY_SOCKET: manager.address }),
      ...env,
    },
  })
  pids.add(run.child.pid as number)
  return run
}

/** Asked without a command, which is a process more. */
export async function statusOf(t: TestContext): Promise<ControlStatus> {
  const folder = controlFolder(t)
  const socket = readdirSync(folder).find((name) => name.endsWith('.sock'))
  const client = await ControlClient.connect(join(folder, String(socket)))
  const status = await client.request<ControlStatus>('status').finally(() => client.close())
  for (const { pid } of status.workers) processesOf(t).add(pid)
  return status
}

/** Kills it, as nothing can be prepared for. */
export async function killed(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL')
  await until(`process ${pid} is gone`, () => !isRunning(pid))
}
