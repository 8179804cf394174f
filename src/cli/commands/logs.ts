import type { Command } from 'commander'
import type { Step } from '../../control/client.js'
import type { WorkerLine } from '../../control/line-ring.js'
import { LOG_LINES_DEFAULT, LOG_LINES_KEPT, WORKERS_MAX } from '../../limits.js'
import { whole } from '../parsers.js'
import { jsonPrinter, type Printer, textPrinter } from '../printer.js'
import { perform, type RemoteOptions, remoteCommand } from '../remote.js'

interface Options extends RemoteOptions {
  worker?: number
  lines: number
  follow: boolean
}

/** `handover logs`: the last lines that workers wrote, and those to come. */
export function logsCommand(): Command {
  return remoteCommand('logs', 'Show the last lines that workers wrote.')
    .option('--worker <n>', 'of this worker alone', whole(1, WORKERS_MAX))
    .option('-n, --lines <n>', `how many, to ${LOG_LINES_KEPT}`, whole(0, LOG_LINES_KEPT), LOG_LINES_DEFAULT)
    .option('-f, --follow', 'go on with those to come, until Ctrl-C', false)
    .action(async ({ worker, lines, follow, ...options }: Options) => {
      const write = (line: string): void => void process.stdout.write(`${line}\n`)
      const printer = options.json ? jsonPrinter(write) : textPrinter(write, write)
      process.exitCode = await perform(options, async (client) => {
        process.stdout.on('error', () => client.close()) // `| head` has had enough
        const order = { lines, follow, ...(worker === undefined ? {} : { worker }) }
        await client.request('logs', order, (step) => show(step, printer))
        return 0
      })
    })
}

function show(step: Step, printer: Printer): void {
  const { lines, skipped = 0 } = step as unknown as { lines: WorkerLine[]; skipped?: number }
  if (skipped > 0) printer.warn('skipped', `${skipped} lines were too fast for this command`, { skipped })
  for (const line of lines) printer.worker(line)
}
