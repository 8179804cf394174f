/** Clients that ask one address again and again, and count every request. */
import http from 'node:http'
import type { TestContext } from 'node:test'

export interface Load {
  /** Answers so far. */
  readonly answered: number
  /** What went wrong, a line each. */
  readonly failures: string[]
  /** Ends every client after its request; settles when all have. */
  stop(): Promise<void>
}

/** Starts clients, of which every other keeps its connection. Each answer must repeat the number in the request's path. */
export function load(t: TestContext, port: number, clients: number): Load {
  const failures: string[] = []
  let answered = 0
  let last = 0
  let over = false
  const keeping = new http.Agent({ keepAlive: true })
  const one = async (keeps: boolean): Promise<void> => {
    while (!over) {
      const path = `/${++last}`
      const said = await ask(port, path, keeps ? keeping : false).catch((error: Error) => error.message)
      if (said === `200 ${path}`) answered += 1
      else failures.push(`${keeps ? 'kept' : 'fresh'} ${path}: ${said}`)
    }
  }
  const all = Promise.all(Array.from({ length: clients }, (_, index) => one(index % 2 === 0)))
  const stop = async (): Promise<void> => {
    over = true
    await all
    keeping.destroy()
  }
  t.after(stop)
  return {
    get answered() {
      return answered
    },
    failures,
    stop,
  }
}

function ask(port: number, path: string, agent: http.Agent | false): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.get({ host: '127.0.0.1', port, path, agent }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      response.on('end', () => resolve(`${response.statusCode} ${text.split(' ', 1)[0]}`))
      response.on('error', reject)
    })
    request.on('error', reject)
    request.setTimeout(20_000, () => request.destroy(new Error('no answer in 20 s')))
  })
}
