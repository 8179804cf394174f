#!/usr/bin/env node
import { Command } from 'commander'
import { handoverVersion } from '../control/version.js'
import { HandoverError, SyscallError } from '../errors.js'
import { coloursFor } from './colours.js'
import { checkCommand } from './commands/check.js'
import { completionCommand } from './commands/completion.js'
import { drainCommand } from './commands/drain.js'
import { listCommand } from './commands/list.js'
import { logsCommand } from './commands/logs.js'
import { proveCommand } from './commands/prove.js'
import { reloadCommand } from './commands/reload.js'
import { runCommand } from './commands/run.js'
import { scaleCommand } from './commands/scale.js'
import { statusCommand } from './commands/status.js'
import { stopCommand } from './commands/stop.js'
import { topCommand } from './commands/top.js'
import { upgradeCommand } from './commands/upgrade.js'
import { ExitCode } from './exit-codes.js'
import { withOurs } from './moved-commands.js'
import { UsageError } from './options.js'
import { withName } from './printer.js'

const pc = coloursFor(process.stderr)

// `handover run --help | head` ends the pipe early: no reason for a stack trace.
process.stdout.on('error', () => {})

const program = new Command('handover')
  .description('Passes live connections and listening ports between processes.')
  .version(handoverVersion)
  .showHelpAfterError(`Run \`handover --help\` for commands.`)
  .enablePositionalOptions() // what follows the script is the script's
  .exitOverride()
  .configureOutput({
    outputError: (text, write) => write(withOurs(text).replace(/^error: /, `${pc.red('handover')} `)),
  })

const commands = [
  runCommand,
  checkCommand,
  reloadCommand,
  upgradeCommand,
  scaleCommand,
  drainCommand,
  stopCommand,
  statusCommand,
  topCommand,
  logsCommand,
  listCommand,
  completionCommand,
  proveCommand,
]
for (const make of commands) {
  const command = make().copyInheritedSettings(program)
  command.showHelpAfterError(`Run \`handover ${command.name()} --help\` for options and examples.`)
  program.addCommand(command)
}

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = report(error)
}

function report(error: unknown): number {
  const { code, exitCode } = error as { code?: string; exitCode?: number }
  if (code?.startsWith('commander.')) return exitCode === 0 ? ExitCode.ok : ExitCode.usage
  const known = error instanceof UsageError || error instanceof HandoverError || error instanceof SyscallError
  const { message, stack = String(error) } = error as Error
  process.stderr.write(known ? `${withName(pc.red, message)}\n` : `${pc.red('handover')} ${stack}\n`)
  return error instanceof UsageError || error instanceof RangeError ? ExitCode.usage : ExitCode.system
}
