import { basename, extname } from 'node:path'
import { importModule, readJson, why } from './import-module.js'
import { readConfig } from './read.js'
import type { Values } from './schema.js'
import { importTypeScript } from './typescript.js'
import { UsageError } from './usage-error.js'

/** A configuration as it was read. */
export interface LoadedConfig {
  /** Absolute. */
  readonly path: string
  readonly values: Values
}

/**
 * Reads a configuration as it is on disk now, and checks it.
 * @param path  absolute
 * @throws {UsageError} it cannot be loaded; {ConfigError} it has faults: a line for each
 */
export async function loadConfig(path: string): Promise<LoadedConfig> {
  const name = basename(path)
  const value = extname(path) === '.json' ? readJson(path, name) : await exported(path, name)
  return { path, values: readConfig(value, name) }
}

async function exported(path: string, name: string): Promise<unknown> {
  const module = await (extname(path).endsWith('ts') ? importTypeScript : importModule)(path, name)
  if (!('default' in module))
    throw new UsageError(`${name} has no default export: export the configuration, or a function`)
  if (typeof module.default !== 'function') return module.default
  try {
    return await (module.default as () => unknown)()
  } catch (error) {
    throw new UsageError(`${name}: its function threw: ${why(error)}`)
  }
}
