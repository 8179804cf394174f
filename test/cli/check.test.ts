import assert from 'node:assert/strict'
import { chmodSync, existsSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import type { Finding } from '../../src/cli/check/findings.js'
import type { Row } from '../../src/cli/check/table.js'
import { command, handover } from '../support/command.js'
import { folderOf, server } from '../support/configured.js'
import { bin } from '../support/paths.js'

interface Answer {
  ok: boolean
  code: number
  options: Row[]
  findings: Finding[]
}

async function check(t: TestContext, cwd: string, args: string[] = []): Promise<Answer> {
  const run = handover(t, ['check', '--json', ...args], { cwd })
  const code = await run.ended
  assert.equal(run.stderr(), '')
  const answer = JSON.parse(run.stdout()) as Answer
  assert.equal(answer.code, code)
  return answer
}

const about = (answer: Answer, name: string): Finding => {
  const found = answer.findings.find((finding) => finding.about === name)
  assert.ok(found, `${name} in ${JSON.stringify(answer.findings)}`)
  return found
}

test('check tells every option, its value and where it is from, and starts nothing', async (t) => {
  const cwd = folderOf(t, {
    'handover.config.json': { script: 's.mjs', workers: 2, drainTimeout: 90, env: { KEY: 'secret' }, logs: 'logs' },
    's.mjs': "import { writeFileSync } from 'node:fs'\nwriteFileSync('ran', '')",
  })
  const answer = await check(t, cwd, ['-w', '1'])
  const row = (key: string): unknown => answer.options.find((one) => one.key === key)
  assert.deepEqual(row('workers'), { key: 'workers', value: '1', from: 'option' })
  assert.deepEqual(row('drainTimeout'), { key: 'drainTimeout', value: '90s', from: 'handover.config.json' })
  assert.deepEqual(row('policy'), { key: 'policy', value: 'least-connections', from: 'default' })
  assert.deepEqual(row('env'), { key: 'env', value: 'KEY', from: 'handover.config.json' })
  assert.deepEqual([answer.ok, answer.code], [true, 0])
  for (const name of ['script', 'node', 'descriptors', 'processors', 'memory', 'backlog', 'systemd', 'ports', 'logs'])
    about(answer, name)
  assert.match(about(answer, 'ports').text, /the script says which when it runs/)
  assert.ok(!existsSync(join(cwd, 'ran')) && !existsSync(join(cwd, 'logs')), 'nothing ran, nothing was made')
})

test('for people it is a table and a line for each finding', async (t) => {
  const run = handover(t, ['check', 's.mjs'], { cwd: folderOf(t, { 's.mjs': server() }) })
  assert.equal(await run.ended, 0)
  assert.match(run.stdout(), /^workers +default +1; with groups none$/m)
  assert.match(run.stdout(), /^ok +node: Node \d/m)
})

const wrong: [rule: string, files: Record<string, string | object>, text: RegExp][] = [
  [
    'a script that does not parse',
    { 'handover.config.json': { script: 's.mjs' }, 's.mjs': '\nx x' },
    /s\.mjs:2: SyntaxError: /,
  ],
  ['a script that is not there', { 'handover.config.json': { script: 's.mjs' } }, /there is no script s\.mjs/],
  [
    'a working folder that is not there',
    { 'handover.config.json': { script: 's.mjs', cwd: 'nowhere' }, 's.mjs': '' },
    /there is no folder .*nowhere: check the path of cwd/,
  ],
  ['a configuration with faults', { 'handover.config.json': { workers: 0 } }, /workers: a whole number/],
]

for (const [rule, files, text] of wrong) {
  test(`${rule} is found with exit code 100`, async (t) => {
    const answer = await check(t, folderOf(t, files))
    assert.deepEqual([answer.ok, answer.code], [false, 100])
    assert.match(answer.findings.find(({ level }) => level === 'usage')?.text ?? '', text)
  })
}

const refused: [rule: string, config: object, name: string, text: RegExp][] = [
  [
    'a socket path that is too long',
    { control: `/tmp/${'x'.repeat(120)}` },
    'control',
    /125 bytes, \d+ are the most a socket's path may have/,
  ],
  ['a log folder that is a file', { logs: 's.mjs' }, 'logs', /s\.mjs is no folder/],
  ['a control socket whose path is a folder', { control: '.' }, 'control', /is a folder: name a path in it/],
  ['a control socket whose path is a file', { control: 's.mjs' }, 'control', /s\.mjs is there and is no socket/],
  ['a socket in a folder that is not there', { listen: ['no/x.sock'] }, 'port', /there is no folder .*no:/],
]

for (const [rule, config, name, text] of refused) {
  test(`${rule} is found with exit code 111`, async (t) => {
    const answer = await check(
      t,
      folderOf(t, { 'handover.config.json': { script: 's.mjs', ...config }, 's.mjs': server() }),
    )
    assert.equal(answer.code, 111)
    assert.deepEqual([about(answer, name).level], ['system'])
    assert.match(about(answer, name).text, text)
  })
}

test('a folder for control sockets in which run would make none is found, in the same words', async (t) => {
  const cwd = folderOf(t, { 's.mjs': server(), 'open/x.txt': '' })
  chmodSync(join(cwd, 'open'), 0o777)
  const folders: [folder: string, text: RegExp][] = [
    [join(cwd, 'open'), /others may write to the folder .*open \(chmod 700 helps\)/],
    [join(cwd, 's.mjs'), /s\.mjs is no folder/],
    [join(cwd, 'no/folder'), /there is no folder .*no$|there is no folder .*no[:;]/],
    ...(process.platform === 'linux' ? [['/proc/foo', /no file can be made in \/proc/] as [string, RegExp]] : []),
  ]
  for (const [control, text] of folders) {
    const run = handover(t, ['check', '--json', 's.mjs'], { cwd, control })
    assert.equal(await run.ended, 111, `${control}\n${run.said()}`)
    assert.match(about(JSON.parse(run.stdout()) as Answer, 'control').text, text)
  }
})

test('files to watch and a command of readiness that are not there are warnings', async (t) => {
  const config = { script: 's.mjs', watch: { paths: ['nope'] }, readiness: { command: ['./nope'] } }
  const answer = await check(t, folderOf(t, { 'handover.config.json': config, 's.mjs': server() }))
  assert.deepEqual(
    [answer.code, about(answer, 'watch').level, about(answer, 'readiness').level],
    [0, 'warning', 'warning'],
  )
  assert.match(about(answer, 'watch').text, /there is no .*nope: check the path/)
})

test('folders this user may not look into are found, not thrown', { skip: process.getuid?.() !== 0 }, async (t) => {
  const cwd = folderOf(t, { 's.mjs': server() })
  const hidden = folderOf(t, {})
  chmodSync(hidden, 0o700)
  chmodSync(cwd, 0o755)
  const asked: [args: string[], code: number, text: RegExp][] = [
    [['--log-dir', join(hidden, 'l')], 111, /cannot be written to by this user/],
    [['--control', join(hidden, 'x/y.sock')], 111, /cannot be written to by this user/],
    [['--cwd', join(hidden, 'x')], 100, /there is no folder .*x/],
  ]
  for (const [args, code, text] of asked) {
    const all = ['check', '--json', ...args, 's.mjs']
    const run = handover(t, all, { cwd, control: join(hidden, 'a/b'), uid: 65_534 })
    assert.equal(await run.ended, code, run.said())
    const { findings } = JSON.parse(run.stdout()) as Answer
    const wrong = findings.filter(({ level }) => level === 'system' || level === 'usage').map((one) => one.text)
    assert.ok(
      wrong.some((one) => text.test(one)),
      wrong.join('\n'),
    )
  }
})

test('a port that is listened on already is a warning, as it may be this service', async (t) => {
  const other = net.createServer().listen(0, '127.0.0.1')
  t.after(() => other.close())
  await new Promise((resolve) => other.once('listening', resolve))
  const { port } = other.address() as net.AddressInfo
  const cwd = folderOf(t, { 'handover.config.json': { script: 's.mjs', listen: [port] }, 's.mjs': server() })
  const answer = await check(t, cwd)
  assert.equal(answer.code, 0)
  assert.deepEqual(about(answer, 'port'), {
    level: 'warning',
    about: 'port',
    text: `somebody listens on ${port} already: stop that, or choose another port (unless it is this service)`,
  })
})

test('a descriptor limit that is too low for what is asked is a warning that says which and what to do', async (t) => {
  const cwd = folderOf(t, { 's.mjs': server() })
  const options = ['--max-connections', '2000', 's.mjs']
  const checked = command(t, 'prlimit', ['--nofile=500:600', process.execPath, bin, 'check', '--json', ...options], {
    cwd,
  })
  assert.equal(await checked.ended, 0)
  const text =
    /descriptor limit 600 is low \(hard limit\): maxConnections 2000, which takes 2320; raise it with `ulimit -n 2320`/
  assert.match(about(JSON.parse(checked.stdout()) as Answer, 'descriptors').text, text)
  const run = command(t, 'prlimit', ['--nofile=500:600', process.execPath, bin, 'run', ...options], { cwd })
  await run.line(text)
  await run.line(/worker 1 ready/)
})
