// A master of a few lines, as a program of one's own would have it: started by `LibraryDriver`.
import { type Channel, connect, listen, type SocketAddress, Supervisor, type SupervisorOptions } from '../index.js'
import { originAt } from './address.js'
import type { ScriptOptions, WorkerView } from './driver.js'
import { answerCalls } from './helper.js'

/** What supervisors can that another process can replace. */
interface Replaceable {
  handOverTo(channel: Channel): Promise<void>
}
interface Heirs {
  takeOver?(channel: Channel, options: SupervisorOptions): Promise<Supervisor>
}

let supervisor: Supervisor | null = null
let handedOver: Promise<void> | null = null

function settled({ script, args, workers, mode, env }: ScriptOptions): SupervisorOptions {
  const distribution = mode === undefined ? {} : { distribution: mode }
  return { script, args, workers, env, batchScheduling: true, ...distribution } as SupervisorOptions
}

answerCalls({
  start: async (options: ScriptOptions): Promise<string> => {
    supervisor = new Supervisor(settled(options))
    await supervisor.start()
    const port = supervisor.status().ports.find((one): one is SocketAddress => typeof one !== 'string')
    if (port === undefined) throw new Error('the script listens on no TCP port')
    return originAt(port)
  },
  reload: async (): Promise<void> => {
    await supervisor?.reload()
  },
  workers: (): WorkerView[] => {
    const ready = (supervisor?.status().workers ?? []).filter((worker) => worker.ready && !worker.draining)
    return ready.map(({ pid, open }) => ({ pid, open }))
  },
  /** Listens for a successor, and hands everything over to it as soon as it comes. */
  offer: async (path: string): Promise<void> => {
    const listener = await listen(`unix:${path}`)
    handedOver = new Promise((resolve, reject) => {
      listener.once('channel', (channel: Channel) => {
        listener.close()
        ;(supervisor as unknown as Replaceable).handOverTo(channel).then(resolve, reject)
      })
    })
    handedOver.catch(() => {}) // `leave` tells it
  },
  takeOver: async ({ path, ...options }: ScriptOptions & { path: string }): Promise<void> => {
    const heirs = Supervisor as unknown as Heirs
    if (heirs.takeOver === undefined) throw new Error('this release cannot be replaced while it runs')
    supervisor = await heirs.takeOver(await connect(`unix:${path}`), settled(options))
  },
  leave: async (): Promise<void> => {
    await handedOver
  },
  stop: async (): Promise<void> => {
    await supervisor?.stop(1_000)
  },
})
