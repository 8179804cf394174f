import assert from 'node:assert/strict'
import { existsSync, linkSync, renameSync, statSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { bind } from '../../src/syscalls/bind.js'
import { AF_UNIX, SOCK_DGRAM, SOCK_SEQPACKET } from '../../src/syscalls/constants.js'
import { close } from '../../src/syscalls/descriptor.js'
import { socket } from '../../src/syscalls/socket.js'
import { ListeningPort } from '../../src/transport/listening-port.js'
import { bindPath, inodeOf, removeIfLast } from '../../src/transport/socket-path.js'
import { command } from '../support/command.js'
import { noLeak } from '../support/descriptors.js'
import { root, scratch } from '../support/paths.js'

test('looking whether a path has an owner does not disturb the owner', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 's')
  const owner = net.createServer().listen(path)
  t.after(() => owner.close())
  let connections = 0
  owner.on('connection', () => connections++)
  await new Promise((resolve) => owner.once('listening', resolve))
  assert.throws(() => ListeningPort.open({ path }), { code: 'EADDRINUSE', address: path })
  removeIfLast(path, inodeOf(path))
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(connections, 0)
  assert.ok(existsSync(path))
})

test('a path that is bound and not listened on yet has an owner, of whatever type the socket is', (t) => {
  noLeak(t)
  for (const type of [undefined, SOCK_DGRAM, SOCK_SEQPACKET]) {
    const path = join(scratch(t), 's')
    const owner = socket(AF_UNIX, type)
    bind(owner, { path })
    assert.throws(() => ListeningPort.open({ path }), { code: 'EADDRINUSE' })
    removeIfLast(path, inodeOf(path))
    assert.ok(existsSync(path))
    close(owner)
    const port = ListeningPort.open({ path })
    port.close()
    assert.equal(existsSync(path), false)
  }
})

test('a path is removed by its last owner alone, and only if it is the same file still', (t) => {
  noLeak(t)
  const folder = scratch(t)
  const path = join(folder, 's')
  const stale = socket(AF_UNIX)
  bindPath(stale, path, 0o600)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  const inode = inodeOf(path)
  removeIfLast(path, inode)
  assert.ok(existsSync(path), 'it has an owner')
  close(stale)
  removeIfLast(path, null)
  assert.ok(inode !== null)
  removeIfLast(path, { ...inode, inode: inode.inode + 1n })
  removeIfLast(path, { ...inode, device: inode.device + 1n })
  assert.ok(existsSync(path), 'it is another file')
  removeIfLast(join(folder, 'no/such/folder'), inode)
  linkSync(path, join(folder, 'link'))
  removeIfLast(path, inode)
  assert.equal(existsSync(path), false)
  writeFileSync(join(folder, 'file'), 'precious')
  renameSync(join(folder, 'file'), path)
  removeIfLast(path, inodeOf(path))
  assert.ok(existsSync(path), 'it is no socket')
})

test('of many that start at once on a stale path, one has it, and keeps it', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 's')
  const module = JSON.stringify(new URL('dist/src/transport/listening-port.js', `file://${root}`).href)
  const program = `const { ListeningPort } = await import(${module})
    let port
    console.log('loaded')
    while (Date.now() < Number(process.argv[2])) {}
    try { port = ListeningPort.open({ path: process.argv[1] }); console.log('has it') } catch (error) { console.log(error.code) }
    setInterval(() => {}, 1000)`
  const stale = socket(AF_UNIX)
  bind(stale, { path })
  close(stale)
  // What the first round leaves behind is stale again.
  for (let round = 0; round < 3; round++) {
    const start = String(Date.now() + 700)
    const starters = Array.from({ length: 6 }, () =>
      command(t, process.execPath, ['--input-type=module', '-e', program, path, start]),
    )
    const said = await Promise.all(starters.map(({ line }) => line(/(has it|E[A-Z]+)/)))
    assert.deepEqual(said.sort(), [...Array(5).fill('EADDRINUSE'), 'has it'])
    await new Promise((resolve, reject) =>
      net
        .connect(path, () => resolve(undefined))
        .on('error', reject)
        .unref(),
    )
    for (const { child, exited } of starters) {
      child.kill('SIGKILL')
      await exited
    }
  }
})
