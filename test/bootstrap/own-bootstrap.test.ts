/** Ways to get a channel, and kinds of things, of a program's own. */
import assert from 'node:assert/strict'
import test from 'node:test'
import {
  type Bootstrap,
  type Caller,
  type Channel,
  connect,
  type End,
  HandoverError,
  listen,
  registerBootstrap,
  registerKind,
} from '../../src/index.js'
import { close } from '../../src/syscalls/descriptor.js'
import { recvRights } from '../../src/syscalls/rights.js'
import { socketpair } from '../../src/syscalls/socket.js'
import { noLeak } from '../support/descriptors.js'
import { error } from '../support/peers.js'
import { until } from '../support/wait.js'

const credentials = { pid: process.pid, uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 }

/** Places of this process, by name. */
const places = new Map<string, (caller: Caller) => void>()
const asked: unknown[] = []

const pipe: Bootstrap = {
  scheme: 'pipe',
  async connect(place, options): Promise<End> {
    asked.push({ place, aborted: options.signal.aborted })
    const called = places.get(place)
    if (called === undefined) throw new HandoverError('ERR_HANDOVER_PEER_GONE', `nobody is at ${place}`)
    const [ours, theirs] = socketpair()
    called({
      credentials,
      admit: () => ({ descriptor: theirs, credentials }),
      refuse: () => close(theirs),
    })
    return { descriptor: ours, credentials }
  },
  retries: (thrown) => (thrown as HandoverError).code === 'ERR_HANDOVER_PEER_GONE',
  listen(place, options) {
    asked.push({ place, ...options })
    return {
      address: `pipe:${place}`,
      watch: (called) => void places.set(place, called),
      pause: () => void places.delete(place),
      set referenced(_: boolean) {},
      close: () => void places.delete(place),
    }
  },
}
registerBootstrap(pipe)

test('a scheme of one’s own connects and listens as the others do', async (t) => {
  noLeak(t)
  asked.length = 0
  const coming = connect('pipe:a/b:c', { retry: true })
  const listener = await listen('pipe:a/b:c', { mode: 0o640, backlog: 5, owner: { uid: 1, gid: 2 } })
  t.after(() => listener.close())
  assert.equal(listener.address, 'pipe:a/b:c')
  const [theirs, ours] = (await Promise.all([coming, listener.accept()])) as [Channel, Channel]
  assert.deepEqual(asked.slice(0, 2), [
    { place: 'a/b:c', aborted: false },
    { place: 'a/b:c', mode: 0o640, backlog: 5, owner: { uid: 1, gid: 2 } },
  ])
  assert.equal(ours.peer?.pid, process.pid)
  const [, delivery] = await Promise.all([theirs.send('hello'), ours.receive()])
  assert.equal(delivery?.message, 'hello')
  theirs.close()
  assert.equal(await ours.receive(), null)
  await assert.rejects(connect('pipe:elsewhere'), error('ERR_HANDOVER_PEER_GONE', /nobody is at elsewhere/))
  const strict = await listen('pipe:strict', { admit: { uids: [] } })
  const refused: unknown[] = []
  strict.on('refused', (who) => refused.push(who))
  await assert.rejects(connect('pipe:strict'), { name: 'HandoverError' })
  assert.deepEqual(refused, [credentials])
  strict.close()
})

test('an unknown scheme is told which there are, and one that cannot do this is told so', async () => {
  const known = /^address: a path, @name, or unix:…, inherited:…, pid:…, systemd:…, pipe:…, not the string "other:x"$/
  await assert.rejects(connect('other:x'), { name: 'TypeError', message: known })
  await assert.rejects(listen('other:x'), { name: 'TypeError', message: known })
  for (const address of ['inherited:', 'pid:1/2/3']) {
    await assert.rejects(listen(address), { name: 'TypeError', message: /^address: nobody can listen by / })
  }
})

test('a scheme can be registered once, and wrong bootstraps are TypeErrors', () => {
  const listed = { connect: pipe.connect as never }
  assert.throws(() => registerBootstrap(pipe), {
    name: 'TypeError',
    message: /^bootstrap\.scheme: .*"pipe" is registered/,
  })
  for (const scheme of ['unix', 'pid', 'systemd', 'inherited']) {
    assert.throws(() => registerBootstrap({ scheme, ...listed }), {
      name: 'TypeError',
      message: /is registered already/,
    })
  }
  for (const scheme of ['', 'Pipe', 'a b', 'a:b', 'p1', '@', 5, undefined, null, ['pipe']]) {
    assert.throws(
      () => registerBootstrap({ scheme: scheme as never, ...listed }),
      { name: 'TypeError', message: /^bootstrap\.scheme: lower-case letters, not / },
      String(scheme),
    )
  }
  for (const [wrong, message] of [
    [{ scheme: 'useless' }, /^bootstrap/],
    [{ scheme: 'wrong', connect: 5 }, /^bootstrap\.connect/],
    [{ scheme: 'wrong', connect: null }, /^bootstrap\.connect/],
    [{ scheme: 'wrong', listen: 'x' }, /^bootstrap\.listen/],
    [{ scheme: 'wrong', ...listed, retries: true }, /^bootstrap\.retries/],
    [null, /^bootstrap: /],
    [undefined, /^bootstrap: /],
    [5, /^bootstrap/],
  ] as const) {
    assert.throws(() => registerBootstrap(wrong as never), { name: 'TypeError', message }, JSON.stringify(wrong))
  }
})

test('a bootstrap that pays no heed to the signal is waited for no longer, and what it brings too late is closed', async (t) => {
  noLeak(t)
  const [ours, theirs] = socketpair()
  let bring = (_: End): void => {}
  registerBootstrap({
    scheme: 'slow',
    connect: () =>
      new Promise((resolve) => {
        bring = resolve
      }),
  })
  await assert.rejects(connect('slow:x', { timeout: 10 }), error('ERR_HANDOVER_TIMED_OUT'))
  bring({ descriptor: ours, credentials })
  await until(
    'it is closed',
    () => recvRights(theirs, Buffer.alloc(1024), 0, 1024, new Int32Array(253), new Int32Array(5)) === 0,
  )
  close(theirs)
})

test('a path with a colon is a path where it begins like one', async () => {
  await assert.rejects(connect('./other:x'), error('ENOENT'))
  await assert.rejects(connect('/nowhere/other:x'), error('ENOENT'))
  await assert.rejects(connect('unix:other:x'), error('ENOENT'))
})

test('a kind of things can be registered once, and wrong ones are TypeErrors', () => {
  const right = { is: () => false, release: () => assert.fail(), adopt: () => assert.fail() }
  registerKind({ name: 'test-kind', ...right })
  const rows: [kind: unknown, message: RegExp][] = [
    [{ name: 'test-kind', ...right }, /^kind\.name: .*"test-kind" is registered already$/],
    [{ name: '', ...right }, /^kind\.name: a text/],
    [{ name: 5, ...right }, /^kind\.name: a text, not 5$/],
    [{ name: 'no-is', ...right, is: undefined }, /^kind\.is: a function, not undefined$/],
    [{ name: 'no-release', ...right, release: 5 }, /^kind\.release: a function, not 5$/],
    [{ name: 'no-adopt', ...right, adopt: null }, /^kind\.adopt: a function, not null$/],
    [{ name: 'bad-share', ...right, share: 5 }, /^kind\.share: a function/],
    [null, /^kind: /],
    [undefined, /^kind: /],
  ]
  for (const [kind, message] of rows) {
    assert.throws(() => registerKind(kind as never), { name: 'TypeError', message }, JSON.stringify(kind))
  }
})
