import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { askAt, TOKEN } from '../support/admin.js'
import { get } from '../support/client.js'
import { handover } from '../support/command.js'
import { folderOf, server } from '../support/configured.js'

const SAID = /\[1\] (\{.*\})/

test('run takes the script and its options from the configuration of the folder', async (t) => {
  const cwd = folderOf(t, {
    'handover.config.mjs':
      "import { defineConfig } from 'handover/config'\nexport default defineConfig({ script: 'server.mjs', args: ['a'], env: { SET: 1, HOME: null }, nodeOptions: ['--no-warnings'], cwd: 'below' })",
    'server.mjs': server(),
    'below/x': '',
  })
  const run = handover(t, ['run'], { cwd })
  const said = JSON.parse(await run.line(SAID)) as Record<string, unknown>
  assert.deepEqual(
    { ...said, options: (said.options as string[])[0] },
    { word: 'one', args: ['a'], cwd: join(cwd, 'below'), set: '1', home: null, options: '--no-warnings' },
  )
  await run.line(/configuration handover\.config\.mjs/)
})

test('options come before the file', async (t) => {
  const cwd = folderOf(t, {
    'other.json': { script: 'server.mjs', args: ['a'], env: { SET: 1 }, cwd: '/' },
    'server.mjs': server(),
  })
  const flags = ['--config', 'other.json', '--env', 'SET=a=b', '--cwd', '.', '--node-option', '--no-deprecation']
  const run = handover(t, ['run', ...flags, 'server.mjs', 'b', '-c'], { cwd })
  const said = JSON.parse(await run.line(SAID)) as Record<string, unknown>
  assert.deepEqual(
    { ...said, options: (said.options as string[])[0], home: null },
    { word: 'one', args: ['b', '-c'], cwd, set: 'a=b', home: null, options: '--no-deprecation' },
  )
})

const faults: [rule: string, files: Record<string, string | object>, args: string[], lines: RegExp[]][] = [
  [
    'a configuration with faults',
    { 'handover.config.json': { workers: 'many', wrokers: 2 } },
    [],
    [/handover\.config\.json: workers: a whole number .* not the string "many"/, /wrokers: no such key; did you mean/],
  ],
  [
    'a configuration that does not parse',
    { 'handover.config.json': '{' },
    [],
    [/handover\.config\.json.* is no JSON: /],
  ],
  [
    'a module that does not parse',
    { 'handover.config.mjs': 'export default {\n ,' },
    [],
    [/handover\.config\.mjs:2 cannot be loaded: SyntaxError: /],
  ],
  [
    'a script of the file that is not there',
    { 'handover.config.json': { script: 'no.js' } },
    [],
    [/there is no script no\.js in /],
  ],
  ['no script anywhere', {}, [], [/no script: name one .* or say `script` in handover\.config\.ts/]],
  ['a configuration that is not there', {}, ['--config', 'no.json'], [/--config no\.json: there is no such file/]],
  ['a variable without a value', {}, ['--env', 'A'], [/'A' is invalid for.*|KEY=VALUE/]],
  [
    'an inspection of the file that is none',
    { 'handover.config.json': { script: 's.mjs', handshake: { inspect: 5 } }, 's.mjs': server() },
    [],
    [/handover\.config\.json: handshake\.inspect: a function/],
  ],
]

for (const [rule, files, args, lines] of faults) {
  test(`${rule}: one clear line for each fault, exit code 100, nothing started`, async (t) => {
    const run = handover(t, ['run', ...args], { cwd: folderOf(t, files) })
    assert.equal(await run.ended, 100)
    assert.equal(run.stdout(), '')
    const said = run.stderr().trim().split('\n')
    for (const line of lines) assert.match(run.stderr(), line)
    assert.ok(rule.includes('variable') || said.length === lines.length, run.stderr())
  })
}

test('handover reload --env changes the environment of the file as it is now, and later reloads keep both', async (t) => {
  const config = (env: object): string => JSON.stringify({ script: 'app.mjs', env })
  const cwd = folderOf(t, {
    'handover.config.json': config({ SET: 'a', OLD: 1 }),
    'app.mjs': server().replace(
      "response.end('one')",
      'response.end([process.env.SET, process.env.OLD, process.env.MORE].join())',
    ),
  })
  const run = handover(t, ['run'], { cwd })
  const port = Number(await run.line(/listening on 127\.0\.0\.1:(\d+)/))
  await run.line(/worker 1 ready/)
  const after = async (...args: string[]): Promise<string> => {
    assert.equal(await handover(t, ['reload', ...args], { cwd }).ended, 0)
    return (await get({ port })).body
  }
  writeFileSync(join(cwd, 'handover.config.json'), config({ SET: 'b' }))
  assert.equal(await after('--env', 'MORE=x'), 'b,,x')
  assert.equal(await after('--env', 'OLD=2'), 'b,2,x')
  writeFileSync(join(cwd, 'handover.config.json'), config({ SET: 'c' }))
  assert.equal(await after(), 'c,,')
  assert.equal(await after('--env', 'MORE=y'), 'c,,y')
})

/** Listens at once in the first generation; later ones wait for the file `go`, and end if WRONG is set. */
const WAITS = `import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
const { HANDOVER_GENERATION, SET, X, Y, WRONG } = process.env
while (HANDOVER_GENERATION !== '1' && !existsSync('go')) await new Promise((resolve) => setTimeout(resolve, 10))
if (WRONG) throw new Error('wrong')
createServer((_, response) => response.end([SET, X, Y].join())).listen(0, '127.0.0.1')`

for (const [rule, first, code, wanted] of [
  ['has what that has changed', ['--env', 'X=5'], 0, 'b,5,1'],
  ['has nothing of it if that fails', ['--env', 'X=5', '--env', 'WRONG=1'], 1, 'b,,1'],
] as const) {
  test(`a reload that was asked for during another ${rule}`, async (t) => {
    const config = (set: string): string => JSON.stringify({ script: 'app.mjs', env: { SET: set } })
    const cwd = folderOf(t, { 'handover.config.json': config('a'), 'app.mjs': WAITS })
    const run = handover(t, ['run'], { cwd })
    const port = Number(await run.line(/listening on 127\.0\.0\.1:(\d+)/))
    await run.line(/worker 1 ready/)
    writeFileSync(join(cwd, 'handover.config.json'), config('b'))
    const before = handover(t, ['reload', '--health-window', '0', ...first], { cwd })
    await before.line(/generation 2 starts/)
    const after = [['--env', 'Y=1'], []].map((more) =>
      handover(t, ['reload', '--health-window', '0', ...more], { cwd }),
    )
    for (const one of after) await one.line(/wait|queue|after/i)
    writeFileSync(join(cwd, 'go'), '')
    assert.equal(await before.ended, code, before.said())
    for (const one of after) assert.equal(await one.ended, 0, one.said())
    assert.equal((await get({ port })).body, wanted)
  })
}

for (const control of [[], ['--no-control']]) {
  test(`the page's reload reads the configuration again, as handover reload does (${control[0] ?? 'with a control socket'})`, async (t) => {
    const config = (set: string): object => ({ script: 'app.mjs', env: { SET: set } })
    const cwd = folderOf(t, {
      'handover.config.json': config('a'),
      'app.mjs': server().replace("response.end('one')", 'response.end(process.env.SET)'),
    })
    const env = { ...process.env, HANDOVER_ADMIN_TOKEN: TOKEN }
    const run = handover(t, ['run', '--admin', '0', ...control], { cwd, env })
    const admin = Number(await run.line(/seen from outside at http:\/\/127\.0\.0\.1:(\d+)/))
    const port = Number(await run.line(/listening on 127\.0\.0\.1:(\d+)/))
    await run.line(/worker 1 ready/)
    const reload = () => askAt(admin, '/reload', { method: 'POST', token: TOKEN, body: '{"healthWindow":0}' })
    writeFileSync(join(cwd, 'handover.config.json'), JSON.stringify(config('b')))
    const { status, text } = await reload()
    assert.deepEqual([status, JSON.parse(text)], [200, { generation: 2 }])
    assert.equal((await get({ port })).body, 'b')
    writeFileSync(join(cwd, 'handover.config.json'), '{ "wrokers": 2 }')
    const refused = await reload()
    assert.deepEqual([refused.status, /wrokers: no such key/.test(refused.text)], [500, true], refused.text)
    await run.line(/reload failed, the old workers serve on: .*wrokers/)
    assert.equal((await get({ port })).body, 'b')
  })
}

test('handover reload reads the configuration again, and one with faults leaves everything as it was', async (t) => {
  const config = (set: string): object => ({ script: 'app.mjs', env: { SET: set } })
  const cwd = folderOf(t, {
    'handover.config.json': config('a'),
    'app.mjs': server().replace("response.end('one')", 'response.end(process.env.SET)'),
  })
  const run = handover(t, ['run'], { cwd })
  const port = Number(await run.line(/listening on 127\.0\.0\.1:(\d+)/))
  await run.line(/worker 1 ready/)
  writeFileSync(join(cwd, 'handover.config.json'), JSON.stringify(config('b')))
  assert.equal(await handover(t, ['reload'], { cwd }).ended, 0)
  assert.equal((await get({ port })).body, 'b')
  writeFileSync(join(cwd, 'handover.config.json'), '{ "wrokers": 2 }')
  const refused = handover(t, ['reload'], { cwd })
  assert.equal(await refused.ended, 1)
  assert.match(refused.stderr(), /handover\.config\.json: wrokers: no such key; did you mean workers\?/)
  assert.equal((await get({ port })).body, 'b')
})
