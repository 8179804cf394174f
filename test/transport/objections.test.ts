/** What cannot be made a thing is known before the claim; what can be is made at once. */
import assert from 'node:assert/strict'
import { closeSync, openSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { pathToFileURL } from 'node:url'
import type { Arrived, ThingKind } from '../../src/channel/kinds.js'
import { Descriptor } from '../../src/sendmsg/index.js'
import { AF_INET } from '../../src/syscalls/constants.js'
import { close, dup } from '../../src/syscalls/descriptor.js'
import { socket, socketpair } from '../../src/syscalls/socket.js'
import { builtinKinds } from '../../src/transport/builtin-kinds.js'
import { fileKind } from '../../src/transport/file.js'
import { ListeningPort } from '../../src/transport/listening-port.js'
import { descriptorKind } from '../../src/transport/plain-descriptor.js'
import { portKind } from '../../src/transport/port.js'
import { serverKind } from '../../src/transport/server.js'
import { command } from '../support/command.js'
import { noLeak, openDescriptors } from '../support/descriptors.js'
import { root } from '../support/paths.js'
import { program } from '../support/programs.js'

const local = { host: '127.0.0.1', port: 0 }

const arrived = (descriptors: number[], details?: unknown): Arrived => ({
  descriptors,
  details,
  bytes: Buffer.alloc(0),
})

test('what cannot be made a thing is objected to, in words, and what is objected to is not made', async (t) => {
  noLeak(t)
  const port = ListeningPort.open(local)
  const [stream, other] = socketpair()
  const unbound = socket(AF_INET)
  const file = openSync('/dev/null', 'r')
  t.after(() => {
    port.close()
    for (const each of [stream, other, unbound, file]) close(each)
  })
  const bad: [ThingKind, Arrived, RegExp][] = [
    [portKind, arrived([]), /without its descriptor/],
    [portKind, arrived([stream]), /does not listen/],
    [portKind, arrived([port.fd, file]), /does not listen/],
    [serverKind, arrived([port.fd]), /class is unknown/],
    [serverKind, arrived([port.fd], 5), /class is unknown/],
    [serverKind, arrived([port.fd], { class: 'toString' }), /class is unknown/],
    [serverKind, arrived([unbound], { class: 'net' }), /does not listen/],
    [serverKind, arrived([file], { class: 'port' }), /does not listen/],
    [serverKind, arrived([], { class: 'http' }), /without its descriptor/],
    [serverKind, arrived([port.fd, port.fd], { class: 'http' }), /one descriptor, not 2/],
    [fileKind, arrived([]), /one descriptor, not 0/],
    [fileKind, arrived([file, file]), /one descriptor, not 2/],
    [fileKind, arrived([stream]), /a socket came/],
    [descriptorKind, arrived([]), /is one, not 0/],
    [descriptorKind, arrived([file, stream]), /is one, not 2/],
  ]
  for (const kind of builtinKinds) await kind.prepare?.()
  for (const [kind, given, why] of bad) {
    const before = openDescriptors().size
    assert.match(kind.objection?.(given) ?? 'none', why)
    assert.equal(openDescriptors().size, before, 'they are borrowed')
    const copies = given.descriptors.map((descriptor) => dup(descriptor))
    assert.throws(() => kind.adopt({ ...given, descriptors: copies }), { name: 'HandoverError' })
    assert.equal(openDescriptors().size, before, 'and closed where it is made all the same')
  }
  const good: [ThingKind, Arrived][] = [
    [portKind, arrived([port.fd, port.fd])],
    [serverKind, arrived([port.fd], { class: 'net' })],
    [serverKind, arrived([port.fd], { class: 'http' })],
    [serverKind, arrived([port.fd], { class: 'port' })],
    [fileKind, arrived([file])],
    [descriptorKind, arrived([stream])],
  ]
  for (const [kind, given] of good) assert.equal(kind.objection?.(given), null)
})

test('a kind that is prepared makes its things at once', async (t) => {
  noLeak(t)
  for (const kind of [fileKind, serverKind] as ThingKind[]) {
    await kind.prepare?.()
    assert.equal(kind.prepare?.(), undefined, 'once is enough')
  }
  const file = fileKind.adopt(arrived([openSync('/dev/null', 'r')]))
  assert.ok(!(file instanceof Promise))
  await (file as FileHandle).close()
  const port = ListeningPort.open(local)
  const server = serverKind.adopt(arrived([dup(port.fd)], { class: 'http' }))
  assert.ok(server instanceof net.Server)
  server.close()
  port.close()
})

/** In a process of its own, in which no FileHandle was made yet. */
test('a lack of descriptors keeps a file from being made, is told, closes it, and is over when it is over', async (t) => {
  const module = JSON.stringify(pathToFileURL(join(root, 'dist/src/transport/file.js')).href)
  const script = program(
    t,
    `import { closeSync, openSync, readdirSync } from 'node:fs'
    import { fileKind } from ${module}
    const count = () => readdirSync('/proc/self/fd').length
    const full = () => {
      const all = []
      try { for (;;) all.push(openSync('/dev/null', 'r')) } catch {}
      return all
    }
    const given = openSync('/dev/null', 'r')
    const before = count()
    const all = full()
    const prepared = await Promise.resolve().then(() => fileKind.prepare()).catch(({ code }) => code)
    const adopted = await Promise.resolve()
      .then(() => fileKind.adopt({ descriptors: [given], details: undefined, bytes: Buffer.alloc(0) }))
      .catch(({ code }) => code)
    for (const each of all) closeSync(each)
    say('short', [prepared, adopted, before - count()])
    await fileKind.prepare()
    const file = fileKind.adopt({ descriptors: [openSync('/dev/null', 'r')], details: undefined, bytes: Buffer.alloc(0) })
    say('enough', file.fd >= 0)
    await file.close()`,
  )
  const { ended, said } = command(t, 'prlimit', ['--nofile=100', process.execPath, script])
  assert.equal(await ended, 0, said())
  assert.match(said(), /short.*\["EMFILE","EMFILE",1\]/)
  assert.match(said(), /enough.*true/)
})

test('a number that leads elsewhere by now is left to whoever has it, though the two look alike', async (t) => {
  noLeak(t)
  const path = '/dev/null' // two that were opened apart are one to fstat(2), as all eventfds are
  const number = openSync(path, 'r')
  const parcel = await descriptorKind.release(number, { flushTimeout: 0 })
  closeSync(number)
  const another = openSync(path, 'r')
  assert.equal(another, number)
  parcel.claimed()
  assert.ok(openDescriptors().has(another))
  new Descriptor(another).close()
})
