import type { Command } from 'commander'
import type { ControlStatus } from '../../control/status-answer.js'
import { list } from '../list.js'
import { perform, print, type RemoteOptions, remoteCommand, say } from '../remote.js'
import { statusLines } from '../status-text.js'

/** `handover status`: one supervisor in full, or all that run where none is named. */
export function statusCommand(): Command {
  return remoteCommand(
    'status',
    'Show generations, workers, ports and connections; of several supervisors, which run.',
  ).action(async (options: RemoteOptions) => {
    const asked = options.name !== undefined || options.control !== undefined
    if (!asked && (await list(options.json, 2))) return
    process.exitCode = await perform(options, async (client) => {
      const status = await client.request<ControlStatus>('status')
      if (options.json) print(status)
      else for (const line of statusLines(status)) say(line)
      return 0
    })
  })
}
