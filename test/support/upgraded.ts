/** A service by `handover run` that is upgraded, and steered through its control socket. */
import type { TestContext } from 'node:test'
import { ask, processesOf } from './asked.js'
import { type Command, controlFolder, handover } from './command.js'
import { freePort, program } from './programs.js'
import { until } from './wait.js'

const APP = `
import http from 'node:http'
const server = http.createServer((request, response) => {
  const answer = () => response.end(process.pid + ' ' + request.url)
  if (request.method === 'POST') request.resume().on('end', answer)
  else answer()
})
server.keepAliveTimeout = 60_000
server.listen(Number(process.env.AT), '127.0.0.1')
`
/** What `handover status --json` tells, as far as tests ask. */
export interface Status {
  pid: number
  workers: { worker: number; pid: number; ready: boolean; total: number }[]
  generations: { number: number; state: string }[]
}

export const status = async (t: TestContext): Promise<Status> => (await ask(t, 'status')) as unknown as Status

/** A service that is there; whoever is its process is ended with the test. */
export async function service(
  t: TestContext,
  { words = [], env: given = process.env }: { words?: string[]; env?: NodeJS.ProcessEnv } = {},
): Promise<{ run: Command; port: number }> {
  const pids = processesOf(t)
  const port = await freePort()
  const env = { ...given, AT: String(port) }
  const run = handover(t, ['run', '-w', '2', ...words, program(t, APP)], { env, control: controlFolder(t) })
  pids.add(run.child.pid as number)
  await until('two workers are ready', () => (run.said().match(/worker \d ready/g) ?? []).length === 2)
  return { run, port }
}
