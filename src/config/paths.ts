import { statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { policyNames } from '../dispatch/policy.js'
import type { Values } from './schema.js'
import { UsageError } from './usage-error.js'

/** Finds the script as `node` would. @throws {UsageError} there is none */
export function findScript(script: string, folder: string): string {
  const path = resolve(folder, script)
  try {
    if (statSync(path).isFile()) return path
  } catch {
    // perhaps it was named without its ending
  }
  try {
    return createRequire(`${folder}/`).resolve(path)
  } catch {
    throw new UsageError(`there is no script ${script} in ${folder}: check the path`)
  }
}

/** Finds a folder that workers are to run in. @throws {UsageError} there is none, or none that may be looked into */
export function findFolder(path: string, folder: string): string {
  const found = resolve(folder, path)
  try {
    if (statSync(found).isDirectory()) return found
  } catch {
    // said in the same words
  }
  throw new UsageError(`there is no folder ${found}: check the path of cwd`)
}

/** The same with every path absolute, as seen from a folder. @throws {UsageError} a script, or `cwd`, is not there */
export function fromFolder(values: Values, folder: string): Values {
  const { script, cwd, policy, handshake, groups, logs, watch, control, listen, distribution } = values
  const at = (path: string): string => resolve(folder, path)
  const isModule = typeof policy === 'string' && !(policyNames as readonly string[]).includes(policy)
  return {
    ...values,
    ...(script === undefined ? {} : { script: findScript(script, folder) }),
    ...(cwd === undefined ? {} : { cwd: findFolder(cwd, folder) }),
    ...(isModule ? { policy: at(policy) } : {}),
    ...(typeof handshake === 'string' ? { handshake: at(handshake) } : {}),
    ...(Array.isArray(handshake) ? { handshake: handshake.map((one) => portsFrom(one, folder)) } : {}),
    ...(Array.isArray(distribution) ? { distribution: distribution.map((one) => portsFrom(one, folder)) } : {}),
    ...(groups === undefined ? {} : { groups: groupsFrom(groups, folder) }),
    ...(logs === undefined ? {} : { logs: { folder: at(logs.folder) } }),
    ...(watch && watch.paths !== undefined ? { watch: { ...watch, paths: watch.paths.map(at) } } : {}),
    ...(typeof control === 'string' ? { control: at(control) } : {}),
    ...(listen === undefined
      ? {}
      : { listen: listen.map((port) => ('path' in port ? { ...port, path: socketPath(port.path, folder) } : port)) }),
  }
}

/** Ports that are named by their paths. A number as text is no path, and is refused where the rest of it is checked. */
function portsFrom<Rule extends { readonly ports?: readonly unknown[] | undefined }>(rule: Rule, folder: string): Rule {
  const { ports } = rule
  if (!Array.isArray(ports)) return rule
  const isPath = (port: unknown): port is string => typeof port === 'string' && port !== '' && !/^\d+$/.test(port)
  return { ...rule, ports: ports.map((port) => (isPath(port) ? socketPath(port, folder) : port)) }
}

/** Abstract names are no paths. */
function socketPath(path: string, folder: string): string {
  return path.startsWith('\0') ? path : resolve(folder, path)
}

/** Scripts of groups are named as the script of all is. */
export function groupsFrom<Group extends { script?: string | undefined }>(
  groups: Readonly<Record<string, Group>>,
  folder: string,
): Record<string, Group> {
  const found = Object.entries(groups).map(([name, group]) => {
    const { script } = group ?? {}
    return [name, script === undefined ? group : { ...group, script: findScript(script, folder) }] as const
  })
  return Object.fromEntries(found)
}
