import assert from 'node:assert/strict'
import { join } from 'node:path'
import test from 'node:test'
import { connect, listen } from '../../src/index.js'
import { noLeak } from '../support/descriptors.js'
import { scratch } from '../support/paths.js'
import { soon } from '../support/peers.js'

for (const way of ['accept', 'for await', 'event'] as const) {
  test(`a listener that is closed as soon as it gave a channel leaves that open: ${way}`, async (t) => {
    noLeak(t)
    const listener = await listen(join(scratch(t), 'socket'))
    const client = connect(listener.address)
    let given = null
    if (way === 'accept') given = await listener.accept()
    else if (way === 'event') {
      given = await new Promise<typeof given>((resolve) =>
        listener.once('channel', (channel) => {
          resolve(channel as never)
          listener.close()
        }),
      )
    } else {
      for await (const channel of listener) {
        given = channel
        break
      }
    }
    listener.close()
    const ours = given as Awaited<typeof client> | null
    assert.ok(ours !== null)
    const theirs = await client
    t.after(() => {
      ours.close()
      theirs.close()
    })
    assert.equal(ours.closed, false)
    const received = theirs.receive()
    await soon(ours.send('hello'))
    assert.deepEqual(await soon(received), { message: 'hello', things: [] })
  })
}
