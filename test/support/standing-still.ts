/** This process stands still, as when a machine is stopped for a moment, and words come meanwhile. */
import net from 'node:net'
import type { TestContext } from 'node:test'
import { socketpair } from '../../src/sendmsg/sockets.js'

/** Blocks the event loop. */
export function standStill(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}

/** Has a word come by a socket, and stands still before it can be read: timers that are over by then run first. */
export function wordWhileStandingStill(t: TestContext, milliseconds: number, heard: () => void): void {
  const [here, there] = socketpair().map((end) => new net.Socket({ fd: end.release() })) as [net.Socket, net.Socket]
  t.after(() => {
    here.destroy()
    there.destroy()
  })
  here.once('data', heard)
  // Not in a timer: Node reads sockets before the next ones then.
  setImmediate(() => {
    there.write('word')
    standStill(milliseconds)
  })
}
