import type { TestContext } from 'node:test'
import { type Command, handover } from './command.js'
import { fixture } from './paths.js'

export interface App {
  run: Command
  port: number
}

/** For a reload whose test is about something else: nobody stands by. */
export const AT_ONCE = ['--health-window', '0']

/** Where a program under `handover run` listens. */
export const LISTENS = /listening on 127\.0\.0\.1:(\d+)/

/** A server under `handover run`, all workers ready. */
export async function started(t: TestContext, args: string[] = [], script = fixture('http-pid.mjs')): Promise<App> {
  const run = handover(t, ['run', ...args, script])
  const port = Number(await run.line(LISTENS))
  const workers = Number(args[args.indexOf('-w') + 1] ?? 1) || 1
  await run.line(new RegExp(`(?:worker \\d+ ready[\\s\\S]*){${workers}}`))
  return { run, port }
}

/** Runs a command to its end. */
export async function done(t: TestContext, ...args: string[]): Promise<{ code: unknown; out: string; err: string }> {
  const ran = handover(t, args)
  const code = await ran.ended
  return { code, out: ran.stdout(), err: ran.stderr() }
}

/** The lines of what is one JSON object a line. */
export const objects = (out: string): Record<string, unknown>[] =>
  out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
