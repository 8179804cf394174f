import assert from 'node:assert/strict'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { command, controlFolder, handover } from '../support/command.js'
import { bin, fixture, scratch } from '../support/paths.js'
import { sanitizers } from '../support/programs.js'

const bash = existsSync('/bin/bash')

async function scriptOf(t: TestContext, shell: string): Promise<string> {
  const ran = handover(t, ['completion', shell])
  assert.equal(await ran.ended, 0)
  assert.equal(ran.stderr(), '')
  return ran.stdout()
}

/** What bash offers for the last of some words, by the function that it was given. */
async function offered(t: TestContext, words: string[]): Promise<string[]> {
  const folder = scratch(t)
  writeFileSync(join(folder, 'completion'), await scriptOf(t, 'bash'))
  writeFileSync(join(folder, 'server.js'), '')
  mkdirSync(join(folder, 'bin'))
  writeFileSync(join(folder, 'bin/handover'), `#!/bin/sh\nexec ${process.execPath} ${bin} "$@"\n`, { mode: 0o755 })
  const text = `source ./completion
COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}
_handover
printf '%s\\n' "\${COMPREPLY[@]}"`
  const env = { ...sanitizers, PATH: `${folder}/bin:/usr/bin:/bin`, HANDOVER_CONTROL_DIR: controlFolder(t) }
  const ran = command(t, '/bin/bash', ['--norc', '-c', text], { cwd: folder, env })
  assert.equal(await ran.ended, 0, ran.stderr())
  return ran.stdout().trim().split('\n').filter(Boolean).sort()
}

test('bash completes commands', { skip: !bash }, async (t) => {
  assert.deepEqual(await offered(t, ['handover', 're']), ['reload'])
  const all = await offered(t, ['handover', ''])
  for (const name of ['run', 'reload', 'scale', 'drain', 'stop', 'status', 'top', 'logs', 'list'])
    assert.ok(all.includes(name))
})

test('bash completes the options of a command, and of no other', { skip: !bash }, async (t) => {
  assert.deepEqual(await offered(t, ['handover', 'reload', '--ro']), ['--rolling'])
  assert.deepEqual(await offered(t, ['handover', 'stop', '--ro']), [])
})

test('bash completes scripts, choices, and the names of what runs', { skip: !bash }, async (t) => {
  assert.deepEqual(await offered(t, ['handover', 'run', 'ser']), ['server.js'])
  assert.deepEqual(await offered(t, ['handover', 'reload', '--script', 'ser']), ['server.js'])
  assert.deepEqual(await offered(t, ['handover', 'completion', '']), ['bash', 'fish', 'zsh'])
  assert.deepEqual(await offered(t, ['handover', 'status', '--name', '']), [])
  const run = handover(t, ['run', '--name', 'web', fixture('http-pid.mjs')])
  await run.line(/worker 1 ready/)
  assert.deepEqual(await offered(t, ['handover', 'status', '--name', 'w']), ['web'])
})

test('zsh and fish are told every command and option that the help shows', async (t) => {
  const [zsh, fish] = [await scriptOf(t, 'zsh'), await scriptOf(t, 'fish')]
  const help = handover(t, ['reload', '--help'])
  await help.ended
  const options = [...help.stdout().matchAll(/^ {2}(?:-\w, )?--([a-z-]+)/gm)].map(([, name]) => name as string)
  assert.ok(options.length > 10)
  for (const option of options) {
    assert.ok(zsh.includes(`'--${option}[`), option)
    assert.ok(fish.includes(`-n '__fish_seen_subcommand_from reload' `), option)
    assert.match(fish, new RegExp(`from reload' .*-l ${option} `))
  }
})

for (const shell of ['zsh', 'fish']) {
  const path = `/usr/bin/${shell}`
  test(`${shell} takes the script as valid`, { skip: !existsSync(path) }, async (t) => {
    const file = join(scratch(t), 'completion')
    writeFileSync(file, await scriptOf(t, shell))
    assert.equal(await command(t, path, ['-n', file]).ended, 0)
  })
}
