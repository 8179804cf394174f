import type { ControlClient, Step } from '../control/client.js'
import { print, type RemoteOptions, say, untilInterrupted } from './remote.js'
import { stepText } from './words.js'

/** Asks for something that takes time, and shows its steps; the answer is told by `said`. */
export async function withSteps<Result extends object>(
  client: ControlClient,
  options: RemoteOptions,
  { command, order, said }: { command: string; order: object; said: (result: Result) => string },
): Promise<void> {
  const show = (step: Step): void => {
    const { type: _type, id: _id, event, ...fields } = step
    if (options.json) print({ event, ...fields })
    else say(stepText(step))
  }
  const done = untilInterrupted(`the ${command}`)
  try {
    const result = await client.request<Result & { finishUnder?: number }>(command, order, show)
    const { finishUnder: pid } = result
    const others =
      pid === undefined ? '' : `; old workers finish under process ${pid}, which has replaced the supervisor`
    if (options.json) print({ event: 'done', ...result })
    else say(`${said(result)}${others}`)
  } finally {
    done()
  }
}
