import { basename, dirname } from 'node:path'
import type { SupervisorOptions } from '../supervisor/options.js'
import { findConfig } from './find.js'
import { fromFolder } from './paths.js'
import type { Values } from './schema.js'
import { supervisorOptions } from './supervisor-options.js'

/** What was asked for: options of the command, and the file beside them. */
export interface Asked {
  /** The configuration by name; left out, the folder's own, if it has one. */
  readonly config?: string | undefined
  /** What options say; paths are seen from `cwd`. They come before the file. */
  readonly flags: Values
  readonly cwd: string
}

/** Everything that a run is made with. */
export interface Settled {
  readonly asked: Asked
  /** The configuration's path; null: there is none. */
  readonly path: string | null
  /** Of file and options, every path absolute; without defaults. */
  readonly values: Values
  /** Where each of them is from. */
  readonly from: ReadonlyMap<string, 'file' | 'flag'>
  readonly supervisor: SupervisorOptions
}

/**
 * Reads the configuration, if there is one, and puts the options over it.
 * @throws {UsageError} a file, a script or a module is not there or cannot be loaded; {ConfigError} faults in the file
 */
export async function settle(asked: Asked): Promise<Settled> {
  const { flags, cwd } = asked
  const path = findConfig(asked.config, cwd)
  // The schema is loaded only for who has a file.
  const file =
    path === null ? {} : fromFolder((await (await import('./load.js')).loadConfig(path)).values, dirname(path))
  const over = fromFolder(flags, cwd)
  const from = new Map<string, 'file' | 'flag'>()
  for (const key of given(file)) from.set(key, 'file')
  for (const key of given(over)) from.set(key, 'flag')
  const values = merged(file, over)
  const source = (key: string): string =>
    from.get(key) === 'flag' || path === null ? `--${key}` : `${basename(path)}: ${key}`
  return { asked, path, values, from, supervisor: await supervisorOptions(values, cwd, source) }
}

/** An option stands for the whole key; the environment alone is put together name by name. */
function merged(file: Values, over: Values): Values {
  const env = file.env === undefined && over.env === undefined ? {} : { env: { ...file.env, ...over.env } }
  // Arguments of the file are for the script of the file.
  const others = over.script !== undefined && over.args === undefined && file.args !== undefined
  const args = others ? { args: [] } : {}
  return { ...file, ...args, ...over, ...env }
}

function given(values: Values): string[] {
  return Object.entries(values).flatMap(([key, value]) => (value === undefined ? [] : [key]))
}
