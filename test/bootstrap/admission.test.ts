/** Who is let in (X15). */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync } from 'node:fs'
import { dirname, join } from 'node:path'
import test, { type TestContext } from 'node:test'
import {
  type Admission,
  type Channel,
  type ChannelListener,
  type ChannelListenOptions,
  connect,
  listen,
} from '../../src/index.js'
import * as api from '../../src/sendmsg/index.js'
import { noLeak } from '../support/descriptors.js'
import { scratch } from '../support/paths.js'
import { error, openPath, peer, STRANGER } from '../support/peers.js'

/** To become another user needs root's rights. */
const ROOT = { skip: process.getuid?.() === 0 ? false : 'needs root' }

let names = 0
const places: [string, (t: TestContext) => string][] = [
  ['a path of mode 0o666', (t) => openPath(t)],
  ['an abstract name', () => `@handover-admission-${process.pid}-${names++}`],
]

async function listening(t: TestContext, path: string, options: ChannelListenOptions = {}): Promise<ChannelListener> {
  const listener = await listen(path, { mode: 0o666, ...options })
  t.after(() => listener.close())
  return listener
}

for (const [place, named] of places) {
  test(`another user is refused before any frame: ${place}`, ROOT, async (t) => {
    noLeak(t)
    const listener = await listening(t, named(t))
    const refused = once(listener, 'refused')
    listener.on('channel', () => assert.fail('a stranger was let in'))
    const stranger = peer(t, 'silent', listener.address, { user: STRANGER })
    const [who, reason] = (await refused) as [unknown, string]
    assert.deepEqual(who, { pid: stranger.pid, uid: STRANGER, gid: STRANGER })
    assert.match(reason, new RegExp(`process ${stranger.pid} of user ${STRANGER}`))
    assert.equal(await stranger.hears('end'), 0, 'it was told nothing')
  })

  test(`another user who speaks the protocol is told that nobody is there: ${place}`, ROOT, async (t) => {
    noLeak(t)
    const listener = await listening(t, named(t))
    const refused = once(listener, 'refused')
    // It trusts whoever is there, or it would go by itself.
    const stranger = peer(t, 'connect', listener.address, { user: STRANGER, admit: { uids: [0] } })
    await refused
    const { code } = await stranger.hears<{ code: string }>('failed')
    assert.equal(code, 'ERR_HANDOVER_NO_HELLO')
  })
}

test('where nobody listens to that, the refusal is a warning of the process', ROOT, async (t) => {
  noLeak(t)
  const listener = await listening(t, openPath(t))
  const warned = once(process, 'warning')
  const stranger = peer(t, 'silent', listener.address, { user: STRANGER })
  const [warning] = (await warned) as [Error & { code: string }]
  assert.equal(warning.code, 'HANDOVER_STRANGER')
  assert.match(warning.message, new RegExp(`${listener.address}: process ${stranger.pid} of user ${STRANGER}`))
  assert.equal(await stranger.hears('end'), 0)
})

test('a friend is let in between strangers', ROOT, async (t) => {
  noLeak(t)
  const listener = await listening(t, openPath(t))
  const reasons: string[] = []
  listener.on('refused', (_, reason) => reasons.push(reason))
  const strangers = [1, 2, 3].map(() => peer(t, 'silent', listener.address, { user: STRANGER }))
  const [channel, other] = await Promise.all([connect(listener.address), listener.accept()])
  for (const stranger of strangers) assert.equal(await stranger.hears('end'), 0)
  assert.equal(reasons.length, 3)
  channel.close()
  other?.close()
})

test('rules let in by user, by group or by process; one is enough', ROOT, async (t) => {
  noLeak(t)
  const waiting = peer(t, 'nothing', '', { user: STRANGER })
  await waiting.hears('idle')
  const rows: [admit: Admission, isIn: boolean][] = [
    [{ uids: [STRANGER] }, true],
    [{ gids: [STRANGER] }, true],
    [{ uids: [1], gids: [2, STRANGER] }, true],
    [{ uids: [0], gids: [0] }, false],
    [{ pids: [process.pid] }, false],
    [{ uids: [], gids: [], pids: [] }, false],
    [{}, false],
    [(who) => who.uid === STRANGER, true],
    [() => false, false],
  ]
  for (const [admit, isIn] of rows) {
    const listener = await listening(t, openPath(t), { admit })
    const outcome = Promise.race([
      once(listener, 'refused').then(() => false),
      listener.accept().then((channel) => {
        channel?.close()
        return channel !== null
      }),
    ])
    peer(t, 'connect', listener.address, { user: STRANGER, admit: { uids: [0] } })
    assert.equal(await outcome, isIn, JSON.stringify(admit))
    listener.close()
  }
})

test('a rule by process lets in that one alone', async (t) => {
  noLeak(t)
  const path = openPath(t)
  const listener = await listening(t, path, { admit: { pids: [process.pid] } })
  const refused = once(listener, 'refused')
  const other = peer(t, 'silent', path)
  assert.equal(((await refused) as [{ pid: number }])[0].pid, other.pid)
  const [channel, accepted] = await Promise.all([connect(path), listener.accept()])
  channel.close()
  accepted?.close()
})

test('rules replace the default: this user too must be named', async (t) => {
  noLeak(t)
  const listener = await listening(t, openPath(t), { admit: { uids: [STRANGER] } })
  const refused = once(listener, 'refused')
  await assert.rejects(connect(listener.address), error('ERR_HANDOVER_NO_HELLO'))
  await refused
})

test('a function answers yes, no, or why not; what it throws refuses, as does anything else', async (t) => {
  noLeak(t)
  const { pid } = process
  const uid = process.geteuid?.()
  const rows: [answer: () => unknown, reason: RegExp | null][] = [
    [() => true, null],
    [() => false, new RegExp(`^process ${pid} of user ${uid} is not let in$`)],
    [() => 'not on Sundays', /^not on Sundays$/],
    [() => '', /(?:)/],
    [() => undefined, /is not let in/],
    [() => 1, /is not let in/],
    [() => 'x'.repeat(3).length > 3 || Promise.resolve(true), /is not let in/],
    [
      () => {
        throw new Error('broken')
      },
      /^the admission failed: broken$/,
    ],
    [
      () => {
        throw 'text'
      },
      /^the admission failed: text$/,
    ],
  ]
  for (const [answer, reason] of rows) {
    const asked: unknown[] = []
    const admit = (who: unknown): boolean => {
      asked.push(who)
      return answer() as boolean
    }
    const listener = await listening(t, openPath(t), { admit })
    const refused = once(listener, 'refused').then(([, why]) => why as string)
    const settled = await Promise.allSettled([connect(listener.address)])
    assert.deepEqual(asked, [{ pid, uid, gid: process.getegid?.() }])
    if (reason === null) {
      assert.equal(settled[0].status, 'fulfilled')
      ;(settled[0] as PromiseFulfilledResult<Channel>).value.close()
    } else {
      assert.equal(settled[0].status, 'rejected')
      assert.match(await refused, reason)
    }
    listener.close()
  }
})

test('what is no admission is a TypeError, on both sides', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const wrong: [admit: unknown, says: RegExp][] = [
    [null, /^admit: a function, or \{ uids, gids, pids \}, not null$/],
    [5, /^admit: .*, not 5$/],
    ['root', /^admit: .*, not the string "root"$/],
    [true, /^admit: /],
    [[], /^admit/],
    [[0], /^admit/],
    [new Map([['uids', [0]]]), /^admit/],
    [{ uid: [0] }, /^admit\.uid: there are uids, gids and pids$/],
    [{ uids: 0 }, /^admit\.uids: a list of numbers, not 0$/],
    [{ gids: ['0'] }, /^admit\.gids: a list of numbers/],
    [{ pids: [1.5] }, /^admit\.pids: a list of numbers/],
    [{ uids: [0], pids: null }, /^admit\.pids: a list of numbers, not null$/],
  ]
  for (const [admit, message] of wrong) {
    await assert.rejects(connect(path, { admit: admit as never }), { name: 'TypeError', message })
    await assert.rejects(listen(path, { admit: admit as never }), { name: 'TypeError', message })
  }
})

for (const [place, named] of places) {
  test(`the connecting side refuses a server of another user, unless it is let in: ${place}`, ROOT, async (t) => {
    noLeak(t)
    const address = named(t)
    if (!address.startsWith('@')) chmodSync(dirname(address), 0o777)
    const server = peer(t, 'listen', address, { user: STRANGER, mode: 0o666, admit: { uids: [0] } })
    await server.hears('listening')
    await assert.rejects(
      connect(address),
      error('ERR_HANDOVER_STRANGER', new RegExp(`process ${server.pid} of user ${STRANGER}`), /option `admit`/),
    )
    assert.deepEqual(server.said('open'), [], 'it was told nothing')
    const channel = await connect(address, { admit: { uids: [STRANGER] } })
    assert.equal(channel.peer?.uid, STRANGER)
    channel.close()
  })
}

test('root is no stranger to the one that connects, unless rules say so', ROOT, async (t) => {
  noLeak(t)
  const listener = await listening(t, openPath(t), { admit: { uids: [STRANGER] } })
  const client = peer(t, 'connect', listener.address, { user: STRANGER })
  const channel = (await listener.accept()) as Channel
  assert.deepEqual(
    [channel.peer?.pid, channel.peer?.uid, channel.peer?.gid],
    [client.pid, STRANGER, STRANGER],
    'known by the kernel’s word',
  )
  assert.equal((await client.hears<{ pid: number; uid: number }>('open')).uid, 0)
  channel.close()
  const picky = peer(t, 'connect', listener.address, { user: STRANGER, admit: { uids: [STRANGER] } })
  assert.equal((await picky.hears<{ code: string }>('failed')).code, 'ERR_HANDOVER_STRANGER')
})

test('a connected Descriptor is asked who is there, too', ROOT, async (t) => {
  noLeak(t)
  const address = `@handover-stranger-${process.pid}-${names++}`
  const server = peer(t, 'listen', address, { user: STRANGER, admit: { uids: [0] } })
  await server.hears('listening')
  const socket = api.socket(api.AF_UNIX, api.SOCK_STREAM)
  api.connect(socket, { path: address.replace('@', '\0') })
  await assert.rejects(connect(socket), error('ERR_HANDOVER_STRANGER'))
})
