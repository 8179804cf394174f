/** Programs that are started as a service manager starts them. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { pathToFileURL } from 'node:url'
import { root } from './paths.js'
import { program } from './programs.js'

const PRELUDE = `import { activation, notifier } from ${JSON.stringify(pathToFileURL(join(root, 'dist/src/index.js')))}
import { spawnSync } from 'node:child_process'
import { fstatSync, readdirSync, readFileSync } from 'node:fs'
const identityOf = (fd) => fstatSync(fd).dev + ':' + fstatSync(fd).ino
`

export interface Started {
  /** Descriptors of this process that it finds as 3, 4 … */
  descriptors: number[]
  /** LISTEN_FDNAMES. */
  names?: string
  /** LISTEN_FDS. Default: as many as there are. */
  count?: number
  env?: NodeJS.ProcessEnv
  /** The program, which says its result: `say('result', value)`. */
  source: string
}

/** Runs a program of a few lines with descriptors, LISTEN_PID being its own, and gives what it says. */
export async function started(t: TestContext, options: Started): Promise<{ pid: number; value: unknown }> {
  const script = program(t, PRELUDE + options.source)
  const child = spawn('/bin/sh', ['-c', 'LISTEN_PID=$$ exec "$0" "$1"', process.execPath, script], {
    stdio: ['ignore', 'pipe', 'pipe', ...options.descriptors],
    env: {
      ...process.env,
      LISTEN_FDS: String(options.count ?? options.descriptors.length),
      ...(options.names === undefined ? {} : { LISTEN_FDNAMES: options.names }),
      ...options.env,
    },
  })
  let out = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      out += text
    })
  }
  const status = await new Promise((resolve) => child.once('close', (code, signal) => resolve(code ?? signal)))
  const line = out.split('\n').find((text) => text.startsWith('{"what":"result"'))
  if (status !== 0 || line === undefined) throw new Error(`the program ended with ${status}\n${out}`)
  return { pid: child.pid ?? 0, value: (JSON.parse(line) as { value: unknown }).value }
}
