import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { reloadFrom } from '../../src/config/reload.js'
import { settle } from '../../src/config/settle.js'
import { folderOf, server } from '../support/configured.js'

test('a reload takes the program as the file has it now, and what was taken out of it is as without it', async (t) => {
  const folder = folderOf(t, {
    'handover.config.json': { script: 'a.mjs', args: ['x'], env: { A: 1 }, nodeOptions: ['--no-warnings'], workers: 2 },
    'a.mjs': server(),
    'b.mjs': server(),
  })
  const asked = { flags: {}, cwd: folder }
  const before = await settle(asked)
  writeFileSync(
    join(folder, 'handover.config.json'),
    JSON.stringify({ script: 'b.mjs', workers: 3, drainTimeout: '5s' }),
  )
  const { options, restart } = reloadFrom(await settle(asked), before)
  assert.deepEqual(
    { ...options, env: options.env?.A },
    {
      script: join(folder, 'b.mjs'),
      args: [],
      execArgv: [],
      env: undefined,
      workers: 3,
      drainTimeout: 5_000,
    },
  )
  assert.deepEqual(restart, [])
})

test('what is the same as before is left alone', async (t) => {
  const folder = folderOf(t, { 'handover.config.json': { script: 'a.mjs', workers: 2 }, 'a.mjs': server() })
  const settled = await settle({ flags: {}, cwd: folder })
  assert.deepEqual(
    reloadFrom(settled, settled),
    { options: {}, restart: [] },
    'it may have been scaled, or reloaded with another script',
  )
})

test('keys that no reload changes are named', async (t) => {
  const policy = (text: string): string =>
    `export default { script: 'a.mjs', policy: ${text}, groups: { api: { workers: 1 } }, maxTotal: 5 }`
  const folder = folderOf(t, { 'handover.config.mjs': policy('() => "1"'), 'a.mjs': server() })
  const asked = { flags: {}, cwd: folder }
  const before = await settle(asked)
  assert.deepEqual(reloadFrom(await settle(asked), before).restart, [], 'a function read again is the same')
  writeFileSync(
    join(folder, 'handover.config.mjs'),
    policy('() => "2"').replace('workers: 1', 'workers: 2').replace(', maxTotal: 5', ''),
  )
  assert.deepEqual(reloadFrom(await settle(asked), before).restart.toSorted(), ['groups', 'maxTotal', 'policy'])
})
