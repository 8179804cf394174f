import assert from 'node:assert/strict'
import test from 'node:test'
import { acceptHello, ownHello, VERSION } from '../../src/wire/hello.js'

test('our own hello is accepted', () => {
  assert.equal(acceptHello(JSON.parse(JSON.stringify(ownHello()))).version, VERSION)
})

test('a newer peer that still understands our version is accepted', () => {
  assert.equal(
    acceptHello({ ...ownHello(), version: VERSION + 5, oldest: VERSION, capabilities: ['new'] }).version,
    VERSION + 5,
  )
})

test('a peer without a version in common is refused, and told apart by its code', () => {
  assert.throws(() => acceptHello({ ...ownHello(), version: VERSION + 5, oldest: VERSION + 1 }), {
    code: 'ERR_HANDOVER_VERSION',
  })
})

test('anything that is no hello is refused', () => {
  const no = [
    null,
    1,
    'x',
    [],
    {},
    { protocol: 'http' },
    { ...ownHello(), version: '1' },
    { ...ownHello(), capabilities: [1] },
  ]
  for (const value of no) assert.throws(() => acceptHello(value), { code: 'ERR_HANDOVER_BAD_FRAME' })
})
