import { syntaxFault } from '../../config/import-module.js'
import { type Settled, settle } from '../../config/settle.js'
import { coloursFor } from '../colours.js'
import { ExitCode } from '../exit-codes.js'
import { type Flags, valuesOf } from '../flags.js'
import { UsageError } from '../options.js'
import { currentFolder } from '../steer.js'
import { checkedOptions } from '../supervisor-of.js'
import { facts } from './facts.js'
import { type Finding, ok, usage } from './findings.js'
import { places } from './places.js'
import { resources } from './resources.js'
import { type Row, rows } from './table.js'

export interface CheckOptions extends Flags {
  json: boolean
}

/** Tells what `handover run` would do; starts nothing, opens nothing. @returns the exit code */
export async function check(
  script: string | undefined,
  args: readonly string[],
  options: CheckOptions,
): Promise<number> {
  let table: Row[] = []
  let findings: Finding[]
  try {
    const settled = await settle({
      config: options.config,
      flags: valuesOf(script, args, options),
      cwd: currentFolder(),
    })
    table = rows(settled)
    findings = await look(settled)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    findings = error.message.split('\n').map((text) => usage('options', text))
  }
  const code = exitCode(findings)
  if (options.json)
    process.stdout.write(`${JSON.stringify({ ok: code === ExitCode.ok, code, options: table, findings })}\n`)
  else print(table, findings)
  return code
}

async function look(settled: Settled): Promise<Finding[]> {
  checkedOptions(settled)
  const known = facts()
  return [...(await scripts(settled)), ...resources(settled, known), ...places(settled, known)]
}

async function scripts({ supervisor: { script, groups } }: Settled): Promise<Finding[]> {
  const all = [script, ...Object.values(groups ?? {}).map((group) => group?.script)]
  const paths = [...new Set(all.filter((path) => path !== undefined))]
  return Promise.all(
    paths.map(async (path) => {
      const fault = await syntaxFault(path)
      return fault === null ? ok('script', path) : usage('script', `${path}:${fault.line}: ${fault.text}`)
    }),
  )
}

function exitCode(findings: readonly Finding[]): number {
  if (findings.some(({ level }) => level === 'usage')) return ExitCode.usage
  return findings.some(({ level }) => level === 'system') ? ExitCode.system : ExitCode.ok
}

function print(table: readonly Row[], findings: readonly Finding[]): void {
  const pc = coloursFor(process.stdout)
  const keys = Math.max(0, ...table.map(({ key }) => key.length))
  const sources = Math.max(0, ...table.map(({ from }) => from.length))
  for (const { key, value, from } of table) {
    const line = `${key.padEnd(keys)}  ${from.padEnd(sources)}  ${value}`
    process.stdout.write(`${from === 'default' ? pc.dim(line) : line}\n`)
  }
  if (table.length > 0) process.stdout.write('\n')
  for (const { level, about, text } of findings) {
    const word = level === 'ok' ? pc.green('ok     ') : level === 'warning' ? pc.yellow('warning') : pc.red('error  ')
    process.stdout.write(`${word} ${about}: ${text}\n`)
  }
}
