// A master of a few lines, as a program of one's own would have it: started by `LibraryDriver`.
import { type SocketAddress, Supervisor, type SupervisorOptions } from '../index.js'
import { originAt } from './address.js'
import type { ScriptOptions, WorkerView } from './driver.js'
import { answerCalls } from './helper.js'

let supervisor: Supervisor | null = null

answerCalls({
  start: async ({ script, args, workers, mode, env }: ScriptOptions): Promise<string> => {
    const distribution = mode === undefined ? {} : { distribution: mode }
    const options = { script, args, workers, env, batchScheduling: true, ...distribution } as SupervisorOptions
    supervisor = new Supervisor(options)
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
  stop: async (): Promise<void> => {
    await supervisor?.stop(1_000)
  },
})
