/**
 * Channels over Node's own IPC, which carries the first descriptor: for a child of `fork` that was started without a
 * channel. Both sides call `channelOverIpc`, in any order.
 */
import type { ChildProcess } from 'node:child_process'
import { shown } from '../arguments.js'
import { Channel } from '../channel/channel.js'
import { endCredentials } from '../channel/end.js'
import type { ChannelOptions } from '../channel/options.js'
import { onStop, type StopOptions } from '../channel/stop.js'
import { HandoverError } from '../errors.js'
import { socketForIpc, socketFromIpc } from '../runtime/node-ipc.js'
import { close } from '../syscalls/descriptor.js'
import { askSender } from '../syscalls/rights.js'
import { socketpair } from '../syscalls/socket.js'
import { openWithin } from './opening.js'

/** One of the two ends of Node's IPC: a forked child, or `process` in it. */
export type IpcEnd = Pick<ChildProcess | NodeJS.Process, 'on' | 'off' | 'send' | 'connected'>

/** What the two sides say to each other there; programs that look at every message see it too. */
interface Word {
  handover: 'ready' | 'channel' | 'taken'
}

const isWord = (message: unknown): message is Word => typeof (message as Partial<Word> | null)?.handover === 'string'

/**
 * A channel to the process at the other end of Node's IPC, which makes the same call.
 * @param end      a child made by `fork`, or `process` in that child. Borrowed
 * @param options  those of the channel; `timeout` in milliseconds, default 10,000; `signal`
 * @throws {HandoverError} ERR_HANDOVER_TIMED_OUT: the other side does not call this; _PEER_GONE
 * @throws {TypeError} no IPC is open there
 */
export async function channelOverIpc(
  end: ChildProcess | NodeJS.Process,
  options: ChannelOptions & StopOptions = {},
): Promise<Channel> {
  if (typeof end?.send !== 'function' || !end.connected) {
    throw new TypeError(`end: a child made by fork(), or process in such a child, with its IPC open, not ${shown(end)}`)
  }
  return openWithin(
    options,
    async (stop) => (end === process ? fetch(end, options, stop) : give(end as ChildProcess, options, stop)),
    () => 'the other side did not call channelOverIpc',
  )
}

/** Waits for what the other side says; `settle` ends the waiting. */
function conversation<Made>(
  end: ChildProcess | NodeJS.Process,
  signal: AbortSignal,
  heard: (word: Word, handle: unknown, settle: (made: Made) => void) => void,
): Promise<Made> {
  const emitter = end as NodeJS.EventEmitter
  return new Promise<Made>((resolve, reject) => {
    const onMessage = (message: unknown, handle: unknown): void => {
      if (!isWord(message)) return
      try {
        heard(message, handle, (made) => {
          finish()
          resolve(made)
        })
      } catch (error) {
        failed(error)
      }
    }
    const failed = (error: unknown): void => {
      finish()
      reject(error)
    }
    const gone = (): void => failed(new HandoverError('ERR_HANDOVER_PEER_GONE', 'the IPC was closed'))
    let stop = (): void => {}
    let over = false
    const finish = (): void => {
      over = true
      stop()
      emitter.off('message', onMessage)
      emitter.off('disconnect', gone)
    }
    stop = onStop({ signal }, failed)
    if (over) return
    emitter.on('message', onMessage)
    emitter.on('disconnect', gone)
    say(end, { handover: 'ready' })
  })
}

function say(end: ChildProcess | NodeJS.Process, word: Word, handle?: Parameters<ChildProcess['send']>[1]): void {
  ;(end as ChildProcess).send(word, handle, () => {}) // if the other side is gone, 'disconnect' says so
}

/**
 * The parent makes the pair, once the child listens: before, the child's program could mistake the word for its own. It
 * says hello once the child has its end: before, Node there could read the hello.
 */
async function give(child: ChildProcess, options: ChannelOptions, stop: AbortSignal): Promise<Channel> {
  let ours = -1
  try {
    const descriptor = await conversation<number>(child, stop, (word, _, settle) => {
      if (word.handover === 'ready' && ours < 0) {
        const [own, theirs] = socketpair()
        ours = own
        askSender(own, true) // before anybody can say hello at the other end
        const carrier = socketForIpc(theirs)
        child.send({ handover: 'channel' } satisfies Word, carrier, () => carrier.destroy())
      }
      if (word.handover === 'taken') settle(ours)
    })
    ours = -1
    const credentials = { ...endCredentials(descriptor), pid: child.pid ?? 0 }
    return new Channel({ descriptor, credentials, asksSender: true }, options)
  } finally {
    if (ours >= 0) close(ours)
  }
}

function fetch(end: NodeJS.Process, options: ChannelOptions, stop: AbortSignal): Promise<Channel> {
  return conversation<Channel>(end, stop, (word, handle, settle) => {
    if (word.handover === 'ready') return say(end, { handover: 'ready' }) // ours may have come too early
    if (word.handover !== 'channel') return
    const descriptor = socketFromIpc(handle)
    say(end, { handover: 'taken' })
    settle(new Channel({ descriptor, credentials: endCredentials(descriptor) }, options))
  })
}
