import assert from 'node:assert/strict'
import { chmodSync, chownSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { controlFolders, openFolder, socketsIn } from '../../src/control/folder.js'
import { nameOfScript } from '../../src/control/names.js'
import { scratch } from '../support/paths.js'
import { error, STRANGER } from '../support/peers.js'

const isRoot = process.getuid?.() === 0

test('the folder is below XDG_RUNTIME_DIR, made with mode 0700', (t) => {
  const runtime = scratch(t)
  const folder = openFolder({ XDG_RUNTIME_DIR: runtime })
  assert.equal(folder, join(runtime, 'handover'))
  assert.equal(statSync(folder).mode & 0o777, 0o700)
  assert.equal(openFolder({ XDG_RUNTIME_DIR: runtime }), folder, 'a second time it is there')
})

test('XDG_RUNTIME_DIR counts only if it is absolute, there, and of this user', { skip: !isRoot }, (t) => {
  const foreign = scratch(t)
  chownSync(foreign, STRANGER, STRANGER)
  for (const runtime of ['relative', '/not/there', foreign, '']) {
    const folders = controlFolders({ XDG_RUNTIME_DIR: runtime })
    assert.deepEqual(folders.slice(-1), ['/tmp/handover-0'])
    assert.ok(!folders.some((folder) => folder.startsWith(foreign)), runtime)
  }
})

test('HANDOVER_CONTROL_DIR is the only folder where it is set', (t) => {
  const own = join(scratch(t), 'own')
  assert.deepEqual(controlFolders({ HANDOVER_CONTROL_DIR: own, XDG_RUNTIME_DIR: '/tmp' }), [own])
})

const distrusted: [what: string, make: (folder: string) => void, message: RegExp, skip?: boolean][] = [
  [
    'of somebody else',
    (folder) => {
      mkdirSync(folder)
      chownSync(folder, STRANGER, STRANGER)
    },
    /belongs to user 54321/,
    !isRoot,
  ],
  [
    'that others may write to',
    (folder) => {
      mkdirSync(folder)
      chmodSync(folder, 0o777)
    },
    /others may write to .*chmod 700/,
  ],
  ['that is a link', (folder) => symlinkSync('/tmp', folder), /is no folder/],
  ['that is a file', (folder) => writeFileSync(folder, ''), /is no folder/],
]
for (const [what, make, message, skip = false] of distrusted) {
  test(`a folder ${what} is refused in one line, and nothing in it is believed`, { skip }, (t) => {
    const folder = join(scratch(t), 'handover')
    make(folder)
    assert.throws(() => openFolder({ HANDOVER_CONTROL_DIR: folder }), error('ERR_HANDOVER_CONTROL', message))
    assert.throws(() => openFolder({ HANDOVER_CONTROL_DIR: folder }), /--control <path>, or do without: --no-control/)
    assert.deepEqual(socketsIn([folder]), [])
  })
}

test('a folder that cannot be made is refused in one line', (t) => {
  const folder = join(scratch(t), 'none', 'handover')
  assert.throws(() => openFolder({ HANDOVER_CONTROL_DIR: folder }), error('ERR_HANDOVER_CONTROL', /there is no folder/))
})

test('a supervisor is called after its script', () => {
  const names = {
    '/srv/app/server.js': 'server',
    'my app.mjs': 'my-app',
    '/srv/.hidden.js': 'hidden',
    '/srv/--.js': 'handover',
    'größe.ts': 'gr-e',
    'a.b.c.js': 'a.b.c',
    '/x/日本.js': 'handover',
    [`${'x'.repeat(200)}.js`]: 'x'.repeat(64),
  }
  for (const [script, name] of Object.entries(names)) assert.equal(nameOfScript(script), name, script)
})
