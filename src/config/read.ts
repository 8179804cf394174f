import { ConfigError, faultsOf } from './faults.js'
import { keysAt } from './keys.js'
import { schema, type Values } from './schema.js'

/** Checks what a configuration says and brings it into its long form. @throws {ConfigError} with every fault */
export function readConfig(value: unknown, file: string): Values {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw new ConfigError(faultsOf(file, value, result.error.issues, (path) => keysAt(schema, path)))
}
