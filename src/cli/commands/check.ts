import { Command } from 'commander'
import type { CheckOptions } from '../check/check.js'
import { withFlags } from '../flags.js'

const NOTES = `
Exit codes: 0 it would run (there may be warnings), 100 options or configuration are wrong, 111 the system would refuse.`

/** `handover check`: tells what `handover run` would do with the same options. */
export function checkCommand(): Command {
  return withFlags(new Command('check').description('Tell what `run` would do, and what is missing for it.'))
    .option('--json', 'one JSON object', false)
    .addHelpText('after', NOTES)
    .action(async (script: string | undefined, args: string[], options: CheckOptions) => {
      const { check } = await import('../check/check.js')
      process.exitCode = await check(script, args, options)
    })
}
