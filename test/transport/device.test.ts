import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, constants, openSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import tty from 'node:tty'
import { connectionKind, release } from '../../src/transport/connection.js'
import { command } from '../support/command.js'
import { collect, ended } from '../support/connections.js'
import { noLeak } from '../support/descriptors.js'
import { handOver } from '../support/parcels.js'
import { scratch } from '../support/paths.js'
import { until } from '../support/wait.js'

test('either end of a pipe moves, with what was read of it', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'pipe')
  execFileSync('mkfifo', [path])
  const [from, to] = [openSync(path, constants.O_RDONLY | constants.O_NONBLOCK), openSync(path, constants.O_WRONLY)]
  const reader = ended(t, new net.Socket({ fd: from, readable: true, writable: false }))
  const writer = ended(t, new net.Socket({ fd: to, readable: false, writable: true }))
  writer.write('before ')
  await until('bytes are read', () => reader.readableLength === 7)
  const transport = await release(reader)
  assert.equal(transport.kind, 'pipe')
  assert.equal(transport.local, null)
  const reads = ended(t, transport.adopt())
  const writes = ended(t, (await handOver(connectionKind, writer)) as net.Socket)
  assert.deepEqual([reads.readable, reads.writable, writes.readable, writes.writable], [true, false, false, true])
  const heard = collect(reads)
  writes.end('and after')
  await until('the end', () => heard.ended)
  assert.equal(heard.text(), 'before and after')
})

test('a terminal moves as what it was used for', async (t) => {
  noLeak(t)
  // The program has the other end: what it types is read here, what is written here it says.
  const program = `import os, pty
master, slave = pty.openpty()
print('name', os.ttyname(slave), flush=True)
seen = b''
while b'ready' not in seen: seen += os.read(master, 100)
os.write(master, b'typed\\n')
while b'shown' not in seen: seen += os.read(master, 100)
print('saw', flush=True)
os.read(master, 100)`
  const { line } = command(t, 'python3', ['-c', program])
  const name = await line(/name (\S+)/)
  const opened = openSync(name, constants.O_RDWR | constants.O_NOCTTY)
  t.after(() => closeSync(opened)) // Node opens a terminal anew
  const input = ended(t, new tty.ReadStream(opened))
  const output = ended(t, new tty.WriteStream(opened))
  const reads = ended(t, (await handOver(connectionKind, input)) as tty.ReadStream)
  const writes = ended(t, (await handOver(connectionKind, output)) as tty.WriteStream)
  assert.ok(reads instanceof tty.ReadStream && reads.isTTY)
  assert.ok(writes instanceof tty.WriteStream && writes.isTTY)
  const heard = collect(reads)
  writes.write('ready\n')
  await until('what is typed', () => heard.text().includes('typed'))
  writes.write('shown\n')
  await line(/saw/)
})
