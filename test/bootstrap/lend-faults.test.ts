/** Loans when something fails. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { errnoOf } from '../../src/errors.js'
import { connect, lend } from '../../src/index.js'
import * as api from '../../src/sendmsg/index.js'
import { identify } from '../../src/syscalls/identity.js'
import { unixPair } from '../support/control.js'
import { noLeak, socketCount } from '../support/descriptors.js'
import { fakeKernel } from '../support/fake-kernel.js'
import { error, soon } from '../support/peers.js'

for (const [what, fake] of [
  ['sendmsg', { sendmsg: () => errnoOf('ETOOMANYREFS') }],
  ['identify', { identify: () => errnoOf('EIO') }],
  ['setsockopt', { setsockopt: () => errnoOf('EPERM') }],
  ['peerCredentials', { peerCredentials: () => errnoOf('EBADF') }],
  ['watchOpen', { watchOpen: () => errnoOf('ENOMEM') }],
] as const) {
  test(`a loan that fails in ${what} leaves nothing open`, (t) => {
    noLeak(t)
    const before = socketCount()
    fakeKernel(t, fake)
    assert.throws(() => lend(), { name: 'SyscallError' })
    assert.equal(socketCount(), before)
  })
}

/** An address that leads to a socket of ours. */
function addressOf({ fd }: api.Descriptor): string {
  const [, , , , , cookie] = identify(fd).split(' ')
  return `pid:${process.pid}/${fd}/${cookie}`
}

test('a lent socket in which more than one descriptor lies is none, and all of them are closed', async (t) => {
  noLeak(t)
  const [outside, inside] = unixPair(t)
  const [near, far] = unixPair(t)
  api.sendmsg(inside, Buffer.of(0), [api.rights([near, near, near])])
  near.close()
  await assert.rejects(soon(connect(addressOf(outside))), error('ERR_HANDOVER_BAD_CHANNEL'))
  assert.equal(api.recvmsg(far, 1)?.data.length, 0, 'no copy is left')
})

test('a loan that there is no room for says so', async (t) => {
  noLeak(t)
  const { channel, address } = lend()
  t.after(() => channel.close())
  let left = 1
  fakeKernel(t, {
    recvmsg: (real, socket, data, flags, room) => real(socket, data, flags, left-- > 0 ? 0 : room),
  })
  await assert.rejects(soon(connect(address)), error('EMFILE', /recvmsg/, /ulimit/))
})
