/** Control messages of the socket level beside descriptors: who sent it, and when it came. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import {
  CMSG_LEN,
  CMSG_SPACE,
  type ControlMessage,
  closeDescriptors,
  credentials,
  type Descriptor,
  getsockopt,
  MSG_CTRUNC,
  pidfd,
  type ReceivedControlMessage,
  rights,
  SCM_CREDENTIALS,
  SCM_PIDFD,
  SCM_RIGHTS,
  SCM_TIMESTAMP,
  SCM_TIMESTAMPNS,
  SO_PASSPIDFD,
  SOCK_DGRAM,
  SOL_SOCKET,
  type SyscallError,
  sendmsg,
  setsockopt,
  timestamp,
  timestampns,
} from '../../src/sendmsg/index.js'
import { command } from '../support/command.js'
import {
  arrival,
  assertGone,
  hasIpv6,
  kindsOf,
  marked,
  type Pair,
  pass,
  receive,
  spaceFor,
  tcpPair,
  udpPair,
  unixKinds,
  unixPair,
} from '../support/control.js'
import { isCloseOnExec, noLeak } from '../support/descriptors.js'
import { fixture } from '../support/paths.js'
import { until } from '../support/wait.js'

const byte = Buffer.from('x')
const own = { pid: process.pid, uid: process.geteuid?.() ?? -1, gid: process.getegid?.() ?? -1 }
const AS_ROOT = { skip: own.uid === 0 ? false : 'only root may claim to be somebody else' }

/** Whether the kernel (Linux 6.5) can send a descriptor of the sending process along. */
function passesPidfd(socket: Descriptor): boolean {
  if (SO_PASSPIDFD === undefined) return false
  try {
    setsockopt(socket, 'SO_PASSPIDFD', true)
    return getsockopt(socket, 'SO_PASSPIDFD')
  } catch (error) {
    assert.equal((error as SyscallError).code, 'ENOPROTOOPT')
    return false
  }
}

for (const { kind, type } of unixKinds) {
  test(`SO_PASSCRED tells who sends, in front of the descriptors, over a ${kind} socket`, (t) => {
    noLeak(t)
    const [from, to] = unixPair(t, type)
    setsockopt(to, 'SO_PASSCRED', true)
    const things = marked(t, 2)
    pass(from, 'x', things)
    const message = receive(to)
    assert.deepEqual(kindsOf(message), [
      [SOL_SOCKET, SCM_CREDENTIALS],
      [SOL_SOCKET, SCM_RIGHTS],
    ])
    assert.deepEqual(credentials.from(message.ancillary), own)
    assert.equal(closeDescriptors(message.ancillary), 2)
    assertGone(things)
  })

  test(`own numbers can be sent, whole or in part, and go with descriptors in any order, over a ${kind} socket`, (t) => {
    noLeak(t)
    const [from, to] = unixPair(t, type)
    setsockopt(to, 'SO_PASSCRED', true)
    const [thing] = marked(t)
    assert.ok(thing)
    for (const given of [{}, own, { pid: own.pid }, { uid: own.uid, gid: own.gid }]) {
      for (const order of [1, -1]) {
        const both: ControlMessage[] = [credentials(given), rights([thing.near])]
        assert.equal(sendmsg(from, byte, order > 0 ? both : both.reverse()), 1)
        const message = receive(to)
        assert.deepEqual(credentials.from(message.ancillary), own)
        assert.equal(closeDescriptors(message.ancillary), 1)
      }
    }
    thing.near.close()
    assertGone([thing])
  })

  test(`numbers that were sent are not told to who did not ask, over a ${kind} socket`, (t) => {
    noLeak(t)
    const [from, to] = unixPair(t, type)
    assert.equal(sendmsg(from, byte, [credentials({})]), 1)
    assert.deepEqual(receive(to).ancillary, [])
  })

  test(`root may send another's numbers, over a ${kind} socket`, AS_ROOT, (t) => {
    noLeak(t)
    const [from, to] = unixPair(t, type)
    setsockopt(to, 'SO_PASSCRED', true)
    const other = { pid: 1, uid: 65_534, gid: 65_533 }
    assert.equal(sendmsg(from, byte, [credentials(other)]), 1)
    assert.deepEqual(credentials.from(receive(to).ancillary), other)
  })

  test(`credentials, descriptors and the process's own descriptor into control buffers of every size, over a ${kind} socket`, (t) => {
    noLeak(t)
    const [from, to] = unixPair(t, type)
    setsockopt(to, 'SO_PASSCRED', true)
    const third = passesPidfd(to)
    const whole = CMSG_SPACE(12) + spaceFor(1) + (third ? CMSG_LEN(4) : 0)
    for (let size = 0; size <= whole + 8; size++) {
      const things = marked(t)
      pass(from, 'x', things)
      const { data, ancillary, flags } = receive(to, size)
      assert.equal(data.length, 1)
      const room = [CMSG_LEN(12), CMSG_SPACE(12) + CMSG_LEN(4), CMSG_SPACE(12) + spaceFor(1) + CMSG_LEN(4)]
      const fits = room.map((bytes) => size >= bytes)
      assert.deepEqual(credentials.from(ancillary), fits[0] ? own : undefined, `credentials in ${size} bytes`)
      assert.equal(rights.from(ancillary).length, fits[1] ? 1 : 0, `descriptors in ${size} bytes`)
      assert.equal(pidfd.from(ancillary) !== undefined, third && fits[2], `the process in ${size} bytes`)
      assert.equal((flags & MSG_CTRUNC) !== 0, !(third ? fits[2] : fits[1]), `MSG_CTRUNC with ${size} bytes`)
      assert.equal(closeDescriptors(ancillary), Number(fits[1]) + Number(third && fits[2]))
      assertGone(things)
    }
  })

  test(`SO_PASSPIDFD gives a descriptor of the sending process, close-on-exec, and closeDescriptors closes it, over a ${kind} socket`, (t) => {
    noLeak(t)
    const [from, to] = unixPair(t, type)
    if (!passesPidfd(to)) return t.skip('this kernel has no SO_PASSPIDFD')
    const things = marked(t)
    pass(from, 'x', things)
    const { ancillary } = receive(to)
    const process_ = pidfd.from(ancillary)
    assert.ok(process_ !== undefined && process_ >= 0 && !rights.from(ancillary).includes(process_))
    assert.equal(pidOf(process_), process.pid)
    assert.ok(isCloseOnExec(process_))
    assert.equal(closeDescriptors(ancillary), 2)
    assertGone(things)
    assert.throws(() => pidOf(process_), { code: 'ENOENT' })
    assert.throws(() => sendmsg(from, byte, [pidfd(0)]), { code: 'EINVAL' }, 'it is never sent')
  })
}

/** The process a pidfd stands for. */
function pidOf(descriptor: number): number {
  return Number(/^Pid:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8'))?.[1])
}

test('a pidfd that the kernel could not make is a negative number, and nothing is closed for it', () => {
  const refused = pidfd(-3)
  assert.equal(pidfd.from([refused]), -3)
  assert.equal(closeDescriptors([refused]), 0)
  assert.deepEqual(refused, [SOL_SOCKET, SCM_PIDFD, Buffer.from(Int32Array.of(-3).buffer)])
})

test('without rights: ETOOMANYREFS names itself and passes when the peer reads; foreign numbers are EPERM', async (t) => {
  noLeak(t)
  const child = command(t, 'prlimit', ['--nofile=120', process.execPath, fixture('rights-unprivileged.mjs')])
  assert.equal(await child.ended, 0, child.said())
  const { flight, forged } = JSON.parse(child.stdout()) as {
    flight: Record<'sent' | 'read' | 'descriptors' | 'again', number> & { failed: unknown }
    forged: Record<string, { code?: string }>
  }
  assert.deepEqual(flight.failed, {
    code: 'ETOOMANYREFS',
    errno: -109,
    syscall: 'sendmsg',
    hint: 'Too many descriptors of this user are in flight: try again when the peer has read.',
  })
  assert.ok(flight.sent > 0 && flight.sent <= 121, `${flight.sent} in flight`)
  assert.deepEqual([flight.read, flight.descriptors], [flight.sent, flight.sent], 'of what was refused nothing went')
  assert.equal(flight.again, 1)
  assert.deepEqual(
    Object.entries(forged).map(([what, { code }]) => [what, code ?? forged[what]]),
    [
      ['own', 1],
      ['pid', 'EPERM'],
      ['uid', 'EPERM'],
      ['gid', 'EPERM'],
      ['read', 1],
    ],
  )
})

const stamped: Record<string, (t: Parameters<typeof noLeak>[0]) => Pair | Promise<Pair>> = {
  'UNIX datagram': (t) => unixPair(t, SOCK_DGRAM),
  'UDP over IPv4': (t) => udpPair(t, 4),
  ...(hasIpv6 ? { 'UDP over IPv6': (t) => udpPair(t, 6) } : {}),
  TCP: (t) => tcpPair(t, 4),
}

for (const [kind, pair] of Object.entries(stamped)) {
  test(`SO_TIMESTAMP and SO_TIMESTAMPNS tell when a message came, over a ${kind} socket`, async (t) => {
    noLeak(t)
    const [from, to] = await pair(t)
    for (const [option, codec, number] of [
      ['SO_TIMESTAMP', timestamp, SCM_TIMESTAMP],
      ['SO_TIMESTAMPNS', timestampns, SCM_TIMESTAMPNS],
    ] as const) {
      setsockopt(to, option, true)
      let before = 0n
      let message = { ancillary: [] as ReceivedControlMessage[] }
      // The kernel begins to stamp in the background: what comes at once over TCP may have none yet.
      await until('a stamped message', async () => {
        before = BigInt(Date.now()) * 1_000_000n
        assert.equal(sendmsg(from, byte), 1)
        message = await arrival(to, CMSG_SPACE(16))
        return message.ancillary.length > 0
      })
      const after = BigInt(Date.now() + 1) * 1_000_000n
      assert.deepEqual(kindsOf(message), [[SOL_SOCKET, number]])
      const time = codec.from(message.ancillary) ?? 0n
      assert.ok(before <= time && time <= after, `${before} <= ${time} <= ${after}`)
      if (codec === timestamp) assert.equal(time % 1000n, 0n)
      setsockopt(to, option, false)
    }
  })
}

test('a time that was cut off is none', (t) => {
  noLeak(t)
  const [from, to] = unixPair(t, SOCK_DGRAM)
  setsockopt(to, 'SO_TIMESTAMPNS', true)
  for (let size = 0; size <= CMSG_SPACE(16); size++) {
    assert.equal(sendmsg(from, byte), 1)
    const { ancillary, flags } = receive(to, size)
    assert.equal(timestampns.from(ancillary) !== undefined, size >= CMSG_LEN(16), `room for ${size} bytes`)
    assert.equal((flags & MSG_CTRUNC) !== 0, size < CMSG_LEN(16))
  }
})
