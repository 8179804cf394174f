import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { fileKind } from '../../src/transport/file.js'
import { noLeak, openDescriptors } from '../support/descriptors.js'
import { handCopy, handOver } from '../support/parcels.js'
import { scratch } from '../support/paths.js'
import { until } from '../support/wait.js'

test('an open file moves with its position, and is closed here', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'file')
  writeFileSync(path, 'one two three')
  const file = await open(path, 'r+')
  await file.read(Buffer.alloc(4), 0, 4)
  const adopted = await handOver(fileKind, file)
  await until('it is closed here', () => file.fd === -1)
  assert.equal(adopted.constructor, file.constructor)
  assert.equal(await adopted.readFile('utf8'), 'two three')
  await adopted.write('!')
  assert.equal((await adopted.stat()).size, 14)
  const again = await handOver(fileKind, adopted) // at once, now that the classes are known
  await again.close()
  assert.equal([...openDescriptors().values()].includes(path), false)
})

test('a shared file is open on both sides', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'file')
  const file = await open(path, 'w+')
  const copy = await handCopy(fileKind, file)
  await file.write('one ')
  await copy.write('two')
  await file.close()
  assert.equal((await copy.read(Buffer.alloc(9), 0, 9, 0)).buffer.toString('utf8', 0, 7), 'one two')
  await copy.close()
})

test('a file that is closed, used by a stream, or on its way, is refused', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'file')
  writeFileSync(path, 'x')
  const release = (handle: FileHandle) => fileKind.release(handle, { flushTimeout: 0 })
  const used = await open(path, 'r')
  const stream = used.createReadStream()
  assert.throws(() => release(used), { code: 'ERR_HANDOVER_NOT_MOVABLE', message: /^a stream/ })
  await once(stream.resume(), 'close')
  const file = await open(path, 'r')
  const parcel = await release(file)
  assert.throws(() => release(file), /on its way already/)
  await file.close()
  parcel.claimed()
  assert.throws(() => release(file), { code: 'ERR_HANDOVER_NOT_MOVABLE', message: 'the file is closed' })
})

test('a FileHandle is told from everything else that has a descriptor', async (t) => {
  noLeak(t)
  const file = await open('/dev/null')
  class FileHandle {
    fd = file.fd
  }
  assert.equal(fileKind.is(file), true)
  for (const thing of [null, undefined, 5, {}, { fd: 5 }, new FileHandle(), process.stdin, Object.create(null)]) {
    assert.equal(fileKind.is(thing), false)
  }
  await file.close()
})
