import type { Settled } from '../../config/settle.js'
import { workersOf } from '../../config/supervisor-options.js'
import { sizeText } from '../../config/units.js'
import { BACKLOG_DEFAULT } from '../../limits.js'
import { descriptorsWanted, descriptorText } from './descriptors.js'
import type { Facts } from './facts.js'
import { type Finding, ok, system, warning } from './findings.js'

/** Whether the machine has what is asked for. */
export function resources(settled: Settled, facts: Facts): Finding[] {
  const count = workerCount(settled)
  return [
    node(facts),
    descriptors(settled, facts),
    processors(count, facts),
    memory(settled, count, facts),
    backlog(settled, facts),
    systemd(facts),
  ]
}

/** Of all groups and of none. */
export function workerCount({ values: { workers }, supervisor: { groups } }: Settled): number {
  const grouped = Object.values(groups ?? {}).map((group) => group?.workers ?? 1)
  return grouped.reduce(
    (sum, one) => sum + one,
    workers === undefined ? Number(grouped.length === 0) : workersOf(workers),
  )
}

function node({ node: version }: Facts): Finding {
  const major = Number.parseInt(version, 10)
  if (major < 20) return system('node', `Node ${version} is too old: 20 or later is needed`)
  return major % 2 === 1 ? warning('node', `Node ${version} has no long-term support`) : ok('node', `Node ${version}`)
}

function descriptors(settled: Settled, { descriptors: limit }: Facts): Finding {
  if (limit === null) return ok('descriptors', 'this system does not tell its limit: see `ulimit -n`')
  const { count, why } = descriptorsWanted(settled)
  if (limit.soft < count) return warning('descriptors', descriptorText(limit, count, why))
  return ok('descriptors', `${limit.soft} for each process, ${count} are enough (${why})`)
}

function processors(count: number, { processors: cores, quota }: Facts): Finding {
  const usable = quota === null ? cores : Math.min(cores, quota)
  const has = quota !== null && quota < cores ? `time for ${quota} processors (cpu.max)` : `${cores} processors`
  if (count > Math.ceil(usable))
    return warning('processors', `${count} workers, and ${has}: more do not make it faster`)
  return ok('processors', `${count} workers, and ${has}`)
}

function memory(
  { values: { maxMemory, threads } }: Settled,
  count: number,
  { memory: { bytes, from } }: Facts,
): Finding {
  const has = `${sizeText(bytes)} (${from})`
  if (maxMemory === undefined) return ok('memory', `${has}; no maxMemory for workers`)
  const all = threads ? maxMemory : maxMemory * count
  const asked = `${threads ? '' : `${count} × `}maxMemory ${sizeText(maxMemory)}`
  if (all > bytes) {
    return warning('memory', `${asked} are more than ${has}: the system may end workers before they are replaced`)
  }
  // At a reload two generations are there.
  if (all * 2 > bytes)
    return warning('memory', `${asked} fit in ${has}, but not twice, as at a reload: reload with --rolling`)
  return ok('memory', `${asked} fit in ${has}, twice too, as at a reload`)
}

function backlog({ values: { backlog = BACKLOG_DEFAULT } }: Settled, { somaxconn }: Facts): Finding {
  if (somaxconn === null) return ok('backlog', `${backlog}`)
  if (backlog > somaxconn) {
    return warning('backlog', `${backlog} is cut to net.core.somaxconn, ${somaxconn}: raise that with sysctl`)
  }
  return ok('backlog', `${backlog} of at most ${somaxconn} (net.core.somaxconn)`)
}

function systemd({ notifySocket, passed }: Facts): Finding {
  if (notifySocket === null && passed === 0) return ok('systemd', 'not started by it')
  const told = notifySocket === null ? 'is not told anything (Type=notify would)' : `is told over ${notifySocket}`
  return ok('systemd', `${told}; ${passed} ports passed`)
}
