import type { Command } from 'commander'
import type { ControlClient } from '../../control/client.js'
import type { ControlStatus } from '../../control/status-answer.js'
import { seconds } from '../parsers.js'
import { perform, print, type RemoteOptions, remoteCommand, say } from '../remote.js'
import { statusLines, workerLines } from '../status-text.js'
import { sized, sizeOf } from '../terminal.js'

/** q, Q, Ctrl-C and Ctrl-D, as a terminal without line editing sends them. */
const LEAVES = [0x71, 0x51, 0x03, 0x04]

interface Options extends RemoteOptions {
  interval: number
}

/** `handover top`: the status, kept up to date. */
export function topCommand(): Command {
  return remoteCommand('top', 'Show the status, kept up to date; q or Ctrl-C leaves.')
    .option('--interval <seconds>', 'time between looks', seconds(1, 3600), 1000)
    .action(async (options: Options) => {
      process.exitCode = await perform(options, (client) => watch(client, options))
    })
}

/** Until somebody leaves, or the supervisor ends. */
async function watch(client: ControlClient, { interval, json }: Options): Promise<number> {
  const leave = new AbortController()
  const quit = (): void => leave.abort()
  const restore = keys(quit)
  process.once('SIGINT', quit).once('SIGTERM', quit)
  process.stdout.on('error', quit)
  const view =
    process.stdout.isTTY && !json ? (await import('log-update')).createLogUpdate(sized(process.stdout)) : null
  void client.ended.then(quit)
  try {
    while (!leave.signal.aborted) {
      const status = await client.request<ControlStatus>('status')
      if (json) print(status)
      else if (view === null) for (const line of workerLines(status)) say(line)
      else view(fitting(statusLines(status)).join('\n'))
      await pause(interval, leave.signal)
    }
  } catch (error) {
    const ended = (error as { code?: string }).code === 'ERR_HANDOVER_PEER_GONE'
    if (!leave.signal.aborted && !ended) throw error
  } finally {
    view?.done()
    restore()
    process.off('SIGINT', quit).off('SIGTERM', quit)
  }
  return 0
}

/** No more than the terminal shows: what scrolls away cannot be drawn over. */
function fitting(lines: readonly string[]): string[] {
  const { rows, columns } = sizeOf(process.stdout)
  const kept = lines.length < rows ? lines : [...lines.slice(0, rows - 2), `… ${lines.length - rows + 2} more`]
  return kept.map((line) => line.slice(0, columns))
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds)
    const early = (): void => {
      clearTimeout(timer)
      resolve()
    }
    if (signal.aborted) early()
    else signal.addEventListener('abort', early, { once: true })
  })
}

/** Hears q and Ctrl-C where somebody types. @returns what puts the terminal back */
function keys(quit: () => void): () => void {
  const { stdin } = process
  if (!stdin.isTTY) return () => {}
  stdin.setRawMode(true).resume()
  const typed = (bytes: Buffer): void => {
    if (bytes.some((byte) => LEAVES.includes(byte))) quit()
  }
  stdin.on('data', typed)
  return () => {
    stdin.off('data', typed).setRawMode(false).pause()
  }
}
