#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { HandoverError, SyscallError } from '../errors.js'
import { coloursFor } from './colours.js'
import { proveCommand } from './commands/prove.js'
import { runCommand } from './commands/run.js'
import { ExitCode } from './exit-codes.js'
import { UsageError } from './options.js'

const pc = coloursFor(process.stderr)
const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
  version: string
}

// `handover run --help | head` ends the pipe early: no reason for a stack trace.
process.stdout.on('error', () => {})

const program = new Command('handover')
  .description('Passes live connections and listening ports between processes.')
  .version(version)
  .showHelpAfterError(`Run \`handover run --help\` for options and examples.`)
  .enablePositionalOptions() // what follows the script is the script's
  .exitOverride()
  .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, `${pc.red('handover')} `)) })

for (const command of [runCommand(), proveCommand()]) program.addCommand(command.copyInheritedSettings(program))

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = report(error)
}

function report(error: unknown): number {
  const { code, exitCode } = error as { code?: string; exitCode?: number }
  if (code?.startsWith('commander.')) return exitCode === 0 ? ExitCode.ok : ExitCode.usage
  const known = error instanceof UsageError || error instanceof HandoverError || error instanceof SyscallError
  const text = known ? (error as Error).message : ((error as Error).stack ?? String(error))
  process.stderr.write(`${pc.red('handover')} ${text}\n`)
  return error instanceof UsageError || error instanceof RangeError ? ExitCode.usage : ExitCode.system
}
