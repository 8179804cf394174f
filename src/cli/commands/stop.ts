import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { Command } from 'commander'
import type { ControlClient } from '../../control/client.js'
import type { HandoverError } from '../../errors.js'
import { seconds } from '../parsers.js'
import { perform, type RemoteOptions, remoteCommand } from '../remote.js'
import { withSteps } from '../steps.js'

interface Options extends RemoteOptions {
  now: boolean
  timeout?: number
}

/** Milliseconds between looks whether a process is gone that has closed its socket. */
const LOOK = 20
/** No more looks than five seconds of them. */
const LOOKS = 250

/** `handover stop`: ends a supervisor and its workers, and waits for that. */
export function stopCommand(): Command {
  return remoteCommand('stop', 'End a supervisor: its workers finish what they have. Waits for the end.')
    .option('--now', 'end at once; open connections are cut', false)
    .option('--timeout <seconds>', 'time that open connections have', seconds(0, 86_400))
    .action(async (options: Options) => {
      process.exitCode = await perform(options, async (client) => {
        try {
          return await stop(client, options)
        } catch (error) {
          if ((error as HandoverError).code !== 'ERR_HANDOVER_REPLACED') throw error
        }
        // Its process was replaced in this very moment: the other one is asked.
        client.close()
        return perform({ ...options, name: client.welcome.name }, (heir) => stop(heir, options))
      })
    })
}

async function stop(client: ControlClient, { now, timeout, json }: Options): Promise<number> {
  const order = { ...(now ? { now } : {}), ...(timeout === undefined ? {} : { milliseconds: timeout }) }
  const said = (): string => `${client.welcome.name} has stopped`
  await withSteps(client, { json }, { command: 'stop', order, said })
  await client.ended
  // One that nobody looks after stays a zombie: that is an end, too.
  for (let looks = LOOKS; looks > 0 && isThere(client.pid); looks--) await delay(LOOK)
  return 0
}

/** It has ended, and its parent has not asked how. Where nobody can tell it is none. */
function isZombie(pid: number): boolean {
  try {
    return /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}

function isThere(pid: number): boolean {
  if (pid === 0) return false
  try {
    return process.kill(pid, 0) && !isZombie(pid)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
