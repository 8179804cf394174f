/** Offers wait for the link to be idle, and go on by themselves whatever kept it busy. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { OffersSent } from '../../src/channel/offers-sent.js'
import type { Packed } from '../../src/channel/packing.js'
import { HandoverError } from '../../src/errors.js'
import { WINDOW } from '../../src/wire/hello.js'
import { noLeak } from '../support/descriptors.js'
import { linkPair } from '../support/links.js'
import { until } from '../support/wait.js'

/** What has no things, and how it was settled. */
function nothing(): { packed: Packed; settled: boolean[] } {
  const settled: boolean[] = []
  return { packed: { things: [], bytes: [], descriptors: [], settle: (claimed) => settled.push(claimed) }, settled }
}

test('an offer goes although closed connections are counted and not told yet', async (t) => {
  noLeak(t)
  const offered: unknown[] = []
  const [left] = await linkPair(t, {}, { offered: ({ head }) => offered.push(head.message) })
  const sent = new OffersSent(() => {})
  sent.open(left, WINDOW)
  left.statusDelay = 60_000
  left.finish(1)
  assert.equal(left.idle, false)
  sent.place(assert.fail, () => {}).fill(nothing().packed, 'now')
  await until('it has come', () => offered.length === 1)
  assert.deepEqual(offered, ['now'])
})

for (const passedOn of [false, true]) {
  const what = passedOn ? 'is not ours any more, where the peer passes offers on' : 'is ours as before'
  test(`what was offered and not answered when the peer is gone ${what}; what was not offered is ours`, async (t) => {
    noLeak(t)
    const offered: unknown[] = []
    const [left, right] = await linkPair(
      t,
      { closed: () => sent.lost(new HandoverError('ERR_HANDOVER_PEER_GONE', 'gone')) },
      { offered: ({ head }) => offered.push(head.message) },
    )
    const sent = new OffersSent(() => {}, passedOn)
    sent.open(left, { ...WINDOW, offers: 1 })
    const [one, two] = [nothing(), nothing()]
    const failed: unknown[] = []
    sent.place(assert.fail, (error) => failed.push((error as HandoverError).code)).fill(one.packed, 1)
    sent.place(assert.fail, (error) => failed.push(error)).fill(two.packed, 2)
    await until('the first has come', () => offered.length === 1)
    right.close()
    await until('it is known', () => failed.length === 1)
    sent.end(new Error('nothing more'))
    assert.deepEqual(failed[0], 'ERR_HANDOVER_PEER_GONE')
    assert.deepEqual([one.settled, two.settled], [[passedOn], [false]])
  })
}
