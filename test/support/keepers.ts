/** Processes that things are sent to: `test/fixtures/keeper.mjs`. */
import type { TestContext } from 'node:test'
import { type Channel, spawn } from '../../src/index.js'
import { fixture } from './paths.js'
import { type ChannelPeer, watched } from './peers.js'

export interface Keeper extends ChannelPeer {
  readonly channel: Channel
}

/** What a keeper tells of a delivery. */
export interface Took {
  message: unknown
  things: { kind: string; id: string }[]
}

/** Starts a keeper whose channel is open; both end with the test. */
export async function keeper(t: TestContext): Promise<Keeper> {
  const { child, channel } = spawn(process.execPath, [fixture('keeper.mjs')], { stdio: ['pipe', 'pipe', 'pipe'] })
  t.after(() => channel.close())
  const one = watched(t, child)
  await channel.opened.catch((error: Error) => {
    throw new Error(`${error.message}\n${one.lines.join('\n')}`)
  })
  await one.hears('open')
  return { ...one, channel }
}

/** Whether a process has been stopped (state T): the signal that does it returns before. */
export function isStopped(stat: string): boolean {
  return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T')
}
