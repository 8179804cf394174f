import type { ControlStatus } from '../control/status-answer.js'
import { print, running, say } from './remote.js'
import { type Column, table } from './table.js'
import { durationText } from './words.js'

const COLUMNS: readonly Column<ControlStatus>[] = [
  { heading: 'name', text: ({ name }) => name },
  { heading: 'pid', right: true, text: ({ pid }) => String(pid) },
  { heading: 'workers', right: true, text: ({ workers }) => String(workers.length) },
  { heading: 'open', right: true, text: ({ workers }) => String(workers.reduce((sum, { open }) => sum + open, 0)) },
  { heading: '/s', right: true, text: ({ perSecond }) => String(perSecond) },
  { heading: 'up', right: true, text: ({ since }) => durationText(Date.now() - since) },
  { heading: 'script', text: ({ script }) => script },
]

/** Shows every supervisor of this user that runs. @param least  fewer than these are not shown. @returns whether they were */
export async function list(json: boolean, least = 0): Promise<boolean> {
  const found = await running()
  try {
    if (found.length < least) return false
    // One that ends meanwhile does not run.
    const answers = found.map(({ client }) => client.request<ControlStatus>('status').catch(() => null))
    const all = (await Promise.all(answers)).filter((status) => status !== null)
    if (json) for (const status of all) print(status)
    else if (all.length > 0) for (const line of table(COLUMNS, all)) say(line)
    return true
  } finally {
    for (const { client } of found) client.close()
  }
}

/** Their names alone, for scripts and for completion. */
export async function listNames(): Promise<void> {
  for (const { name, client } of await running()) {
    client.close()
    say(name)
  }
}
