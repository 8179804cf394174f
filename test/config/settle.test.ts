import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { settle } from '../../src/config/settle.js'
import type { HandshakeOptions } from '../../src/index.js'
import { folderOf, server } from '../support/configured.js'

test('paths of the file are seen from its folder, those of options from where the command runs', async (t) => {
  const folder = folderOf(t, {
    'app/handover.config.json': {
      script: './server.mjs',
      cwd: '..',
      logs: 'logs',
      groups: { api: { script: 'api.mjs' } },
      control: 'c.sock',
      watch: ['src'],
      listen: ['a.sock', '\0name', 80],
    },
    'app/server.mjs': server(),
    'app/api.mjs': server(),
    'by.mjs': 'export default () => undefined',
  })
  const { values, supervisor } = await settle({
    config: 'app/handover.config.json',
    flags: { policy: './by.mjs' },
    cwd: folder,
  })
  const { script, cwd, logs, groups, control, policy, watch } = values
  assert.equal(script, join(folder, 'app/server.mjs'))
  assert.equal(cwd, folder)
  assert.deepEqual(logs, { folder: join(folder, 'app/logs') })
  assert.equal(groups?.api?.script, join(folder, 'app/api.mjs'))
  assert.equal(control, join(folder, 'app/c.sock'))
  assert.deepEqual(watch, { paths: [join(folder, 'app/src')] })
  assert.equal(policy, join(folder, 'by.mjs'))
  assert.equal(typeof supervisor.policy, 'function')
  assert.deepEqual(supervisor.listen, [{ path: join(folder, 'app/a.sock') }, { path: '\0name' }, { port: 80 }])
})

test('ports that rules name by their paths are seen from the file’s folder, too', async (t) => {
  const folder = folderOf(t, {
    'app/handover.config.mjs': `export default {
      script: 'server.mjs',
      distribution: [{ ports: ['a.sock', '\\0name', '/b.sock', 80], mode: 'share' }, { mode: 'dispatch' }],
      handshake: [{ inspect: () => ({}), ports: ['c.sock', 81, '82'] }, { inspect: () => ({}) }],
    }`,
    'app/server.mjs': server(),
  })
  const { supervisor } = await settle({ config: 'app/handover.config.mjs', flags: {}, cwd: folder })
  assert.deepEqual(supervisor.distribution, [
    { ports: [join(folder, 'app/a.sock'), '\0name', '/b.sock', 80], mode: 'share' },
    { mode: 'dispatch' },
  ])
  assert.deepEqual(
    (supervisor.handshake as HandshakeOptions[]).map(({ ports }) => ports),
    [[join(folder, 'app/c.sock'), 81, '82'], undefined],
    'a number as text is no path: it is refused as it stands',
  )
})

test('options come before the file, the environment name by name, and it is known where each is from', async (t) => {
  const folder = folderOf(t, {
    'handover.config.json': {
      script: 'server.mjs',
      args: ['a'],
      workers: 'max',
      env: { A: 1, B: true, HOME: null },
      nodeOptions: ['--no-warnings'],
    },
    'server.mjs': server(),
    'other.mjs': server(),
  })
  const plain = await settle({ flags: {}, cwd: folder })
  assert.equal(plain.supervisor.workers, availableParallelism())
  assert.deepEqual(plain.supervisor.args, ['a'])
  assert.deepEqual(plain.supervisor.execArgv, ['--no-warnings'])
  const { supervisor, from } = await settle({
    flags: { script: 'other.mjs', workers: 2, env: { B: '2' } },
    cwd: folder,
  })
  assert.equal(supervisor.script, join(folder, 'other.mjs'))
  assert.deepEqual(supervisor.args, [], 'arguments of the file are for its own script')
  assert.equal(supervisor.workers, 2)
  const { A, B, HOME, PATH } = supervisor.env ?? {}
  assert.deepEqual({ A, B, HOME, PATH }, { A: '1', B: '2', HOME: undefined, PATH: process.env.PATH })
  assert.deepEqual([from.get('workers'), from.get('nodeOptions'), from.get('threads')], ['flag', 'file', undefined])
})

test('what was not given is not passed on', async (t) => {
  const folder = folderOf(t, { 'server.mjs': server() })
  const { supervisor, path } = await settle({ flags: { script: 'server.mjs' }, cwd: folder })
  assert.equal(path, null)
  assert.deepEqual(Object.keys(supervisor).sort(), ['cwd', 'env', 'script'])
})

test('options that only later supervisors know are passed on as milliseconds and bytes', async (t) => {
  const given = {
    readiness: { http: '/up', timeout: '2s' },
    healthWindow: 3,
    maxMemory: '1gb',
    crashLoop: { deaths: 3, within: '1m' },
    orphans: 'wait',
  }
  const folder = folderOf(t, { 'handover.config.json': { script: 'server.mjs', ...given }, 'server.mjs': server() })
  const { supervisor } = await settle({ flags: {}, cwd: folder })
  const { readiness, healthWindow, maxMemory, crashLoop, orphans } = supervisor as Record<string, unknown>
  assert.deepEqual(
    { readiness, healthWindow, maxMemory, crashLoop, orphans },
    {
      readiness: { http: '/up', timeout: 2_000 },
      healthWindow: 3_000,
      maxMemory: 1024 ** 3,
      crashLoop: { deaths: 3, within: 60_000 },
      orphans: 'wait',
    },
  )
})

test('a module of the file that cannot be used names the file and the key', async (t) => {
  const folder = folderOf(t, { 'handover.config.json': { script: 's.mjs', policy: './gone.mjs' }, 's.mjs': server() })
  await assert.rejects(
    settle({ flags: {}, cwd: folder }),
    /^Error: handover\.config\.json: policy .*gone\.mjs cannot be loaded: /,
  )
})
