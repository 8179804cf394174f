/** Programs that others have written: clients, proxies, browsers. */
import assert from 'node:assert/strict'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Command, type CommandOptions, command } from './command.js'

export interface Tool {
  /** Null: it is not there. */
  path: string | null
  needs: string
  /** For the options of a test. Where HANDOVER_PEERS=required, nothing is skipped: what is missing fails. */
  skip: string | false
}

/** A program on the path, or where a system keeps its servers. @param of  the Debian package that has it */
export function tool(name: string, of = name): Tool {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  const path = folders.map((folder) => join(folder, name)).find(isProgram) ?? null
  const needs = name === of ? name : `${name} (package ${of})`
  return { path, needs, skip: path === null && process.env.HANDOVER_PEERS !== 'required' && `needs ${needs}` }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** An environment without what our addon needs under sanitizers, which is not for programs of others. */
export function plain(environment: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const { LD_PRELOAD, ASAN_OPTIONS, UBSAN_OPTIONS, ...env } = environment
  return env
}

/** Starts it; it ends with the test. */
export function start(t: TestContext, { path, needs }: Tool, args: string[], options: CommandOptions = {}): Command {
  assert.ok(path !== null, `HANDOVER_PEERS=required: this test needs ${needs}`)
  return command(t, path, args, { ...options, env: plain(options.env) })
}

export interface Ran {
  code: number | NodeJS.Signals | null
  out: string
  /** All that it wrote, on both. */
  said: string
}

/** Runs it to its end. */
export async function run(t: TestContext, tool: Tool, args: string[], options: CommandOptions = {}): Promise<Ran> {
  const started = start(t, tool, args, options)
  const code = await started.ended
  return { code, out: started.stdout(), said: started.said() }
}

/** What wrk says of its two seconds: how many answers came. Fails if one was no answer of 200, or a connection failed. */
export async function wrk(t: TestContext, tool: Tool, url: string, ...args: string[]): Promise<number> {
  const { code, said } = await run(t, tool, ['-t1', '-c10', '-d2s', ...args, url])
  assert.equal(code, 0, said)
  assert.doesNotMatch(said, /Socket errors|Non-2xx/, said)
  return Number(/(\d+) requests in/.exec(said)?.[1])
}
