/** A service by `handover run` that is upgraded, and steered through its control socket. */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { type Command, controlFolder, handover } from './command.js'
import { freePort, program } from './programs.js'
import { isRunning } from './successions.js'
import { until } from './wait.js'

const APP = `
import http from 'node:http'
http.createServer((request, response) => {
  const answer = () => response.end(process.pid + ' ' + request.url)
  if (request.method === 'POST') request.resume().on('end', answer)
  else answer()
}).listen(Number(process.env.AT), '127.0.0.1')
`
/** What `handover status --json` tells, as far as tests ask. */
export interface Status {
  pid: number
  workers: { worker: number; pid: number; ready: boolean; total: number }[]
  generations: { number: number; state: string }[]
}

/** Every process that was the service of a test. */
const masters = new WeakMap<TestContext, Set<number>>()

/** Runs a command that is to succeed. @returns its answer; it is one JSON object a line */
export async function ask(t: TestContext, ...args: string[]): Promise<Record<string, unknown>> {
  const run = handover(t, [...args, '--json'])
  assert.equal(await run.ended, 0, run.said())
  const answer = JSON.parse(run.stdout().trim().split('\n').at(-1) as string) as Record<string, unknown>
  if (typeof answer.pid === 'number') masters.get(t)?.add(answer.pid)
  return answer
}

export const status = async (t: TestContext): Promise<Status> => (await ask(t, 'status')) as unknown as Status

/** A service that is there; whoever is its process is ended with the test. */
export async function service(
  t: TestContext,
  { words = [], env: given = process.env }: { words?: string[]; env?: NodeJS.ProcessEnv } = {},
): Promise<{ run: Command; port: number }> {
  const pids = new Set<number>()
  masters.set(t, pids)
  // Before the command's own end, which waits for all that hold its output open.
  t.after(() => {
    for (const pid of pids) if (isRunning(pid)) process.kill(pid, 'SIGKILL')
  })
  const port = await freePort()
  const env = { ...given, AT: String(port) }
  const run = handover(t, ['run', '-w', '2', ...words, program(t, APP)], { env, control: controlFolder(t) })
  pids.add(run.child.pid as number)
  await until('two workers are ready', () => (run.said().match(/worker \d ready/g) ?? []).length === 2)
  return { run, port }
}
