import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { ExitCode } from '../../src/cli/exit-codes.js'
import { exitOf } from '../../src/control/failure.js'
import { HandoverError, handoverErrorCodes, SyscallError } from '../../src/errors.js'
import { handover } from '../support/command.js'
import { controlled } from '../support/controlled.js'
import { root } from '../support/paths.js'

const page = readFileSync(join(root, 'docs/control.md'), 'utf8')
const COMMON = ['--name', '--control', '--json', '--help']

/** What stands under a heading. */
const section = (heading: string): string => page.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? ''

test('the page has every command but run, and exactly its options', async (t) => {
  const help = handover(t, ['--help'])
  await help.ended
  const commands = [...help.stdout().matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name as string)
  for (const name of commands.filter((each) => !['run', 'help', 'check', 'prove'].includes(each))) {
    const own = handover(t, [name, '--help'])
    await own.ended
    const options = [...own.stdout().matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, option]) => option as string)
    const documented = [...section(`handover ${name}`).matchAll(/^\| (?:`-\w`, )?`(--[a-z-]+)/gm)].map(
      ([, option]) => option,
    )
    assert.deepEqual(documented.sort(), options.filter((option) => !COMMON.includes(option)).sort(), name)
  }
})

test('the page lists exactly the exit codes, and failures have no others', () => {
  const documented: number[] = [...section('Exit codes').matchAll(/^\| (\d+) +\|/gm)].map(([, code]) => Number(code))
  const codes: readonly number[] = Object.values(ExitCode)
  assert.deepEqual(documented, codes)
  const failures = [new TypeError(), new RangeError(), new Error(), new SyscallError(-13, 'bind'), 'no error', null]
  const known = handoverErrorCodes.map((code) => new HandoverError(code, ''))
  for (const failure of [...failures, ...known]) assert.ok(documented.includes(exitOf(failure)), String(failure))
})

test('the page lists exactly the commands of the socket', async (t) => {
  const { client } = await controlled(t)
  const { commands } = (await client()).welcome
  const documented = [...section('Its wire').matchAll(/^\| `([a-z]+)`/gm)].map(([, name]) => name)
  assert.deepEqual(documented, commands)
})
