import { setTimeout as delay } from 'node:timers/promises'
import { hostAndPort } from './address.js'
import { now } from './clock.js'
import type { CrowdOptions } from './crowd.js'
import { type Driver, DriverError, type WorkerView } from './driver.js'
import { Helper } from './helper.js'
import { type Deed, judge, type Killed, type Verdict } from './judge.js'
import type { Tally } from './ledger.js'
import { asked } from './outcome.js'
import { probe } from './probe.js'
import { gone } from './processes.js'

/** Milliseconds for a killed process to be gone, and for another to serve in its place. */
const DEATH_TIME = 5_000
const SUCCESSOR_TIME = 30_000
/** Milliseconds between looks at the workers. */
const LOOK = 20
/** Milliseconds after something was done in which what it did to a client still counts as its own. */
const AFTERMATH = 100
/** Milliseconds without anything being done, before the first and after the last. */
const WARM_UP = 500

export interface ProveOptions {
  reloads: number
  kills: number
  upgrades: number
  clients: number
  /** Requests per second, of all clients together. */
  rate: number
  /** Milliseconds in which a request must be answered. */
  timeout: number
  /** Milliseconds of load at least; what is to be done is spread over them. */
  duration: number
  path: string
}

export interface Report extends Tally {
  url: string
  /** The program says who answers what; else requests are told apart only by their connections. */
  own: boolean
  asked: number
  deeds: Deed[]
  verdicts: Verdict[]
  /** Losses that a killed worker explains, and those that the guarantees exclude. */
  allowed: number
  excluded: number
  /** Losses that were not told one by one are never explained. */
  untold: number
  /** Milliseconds from the first request to the last answer. */
  took: number
}

/**
 * Puts servers to the proof: load from a process of its own, reloads, kills and upgrades one after the other, and an
 * account of every request. Stops the driver, whatever happens.
 * @throws {DriverError} it does not start, reload or fill the place of a killed worker; nothing is proved then
 */
export async function prove(
  driver: Driver,
  options: ProveOptions,
  tell: (line: string) => void = () => {},
): Promise<Report> {
  const load = new Helper('prove/load.js')
  try {
    const url = await driver.start()
    const { own, status } = await probe(url, options.path)
    const { clients, rate, timeout, path } = options
    const began = now()
    tell(`${clients} clients ask ${url}${own ? '' : path}, ${rate} requests per second`)
    await load.call('start', { ...hostAndPort(url), clients, rate, timeout, path, own, status } satisfies CrowdOptions)
    const deeds = await doAll(driver, load, options, began, tell)
    const tally = await load.call<Tally>('stop')
    return reportOf(url, own, tally, deeds, now() - began)
  } finally {
    await Promise.all([load.end(), driver.stop()])
  }
}

async function doAll(
  driver: Driver,
  load: Helper,
  options: ProveOptions,
  began: number,
  tell: (line: string) => void,
): Promise<Deed[]> {
  const { duration } = options
  const plan = planOf(options)
  const deeds: Deed[] = []
  await delay(WARM_UP)
  for (const [index, what] of plan.entries()) {
    // Spread evenly over the time, or as fast as they go if that is longer.
    const due = began + WARM_UP + (index * (duration - 2 * WARM_UP)) / plan.length
    if (due > now()) await delay(due - now())
    const phase = `${what}s`
    await load.call('phase', phase)
    const start = now()
    const killed = what === 'kill' ? await kill(driver) : await renew(driver, what)
    const took = Math.round(now() - start)
    await delay(AFTERMATH)
    // When this has come back, the process that asks has seen what happened until now, however busy it is.
    const { settled, lost } = await load.call<{ settled: number; lost: number }>('progress')
    deeds.push({ what, phase, began: start, ended: now(), killed })
    await load.call('phase', 'steady')
    tell(
      `${index + 1}/${plan.length} ${what} in ${took} ms; ${settled} requests, ${lost} not answered as they should be`,
    )
  }
  await delay(Math.max(WARM_UP, began + duration - now()))
  return deeds
}

/** Each kind spread evenly over the whole. */
function planOf({ reloads, kills, upgrades }: ProveOptions): Deed['what'][] {
  const spread = (what: Deed['what'], count: number): { what: Deed['what']; at: number }[] =>
    Array.from({ length: count }, (_, index) => ({ what, at: (index + 0.5) / count }))
  const all = [...spread('reload', reloads), ...spread('kill', kills), ...spread('upgrade', upgrades)]
  return all.sort((a, b) => a.at - b.at).map(({ what }) => what)
}

async function renew(driver: Driver, what: 'reload' | 'upgrade'): Promise<null> {
  if (what === 'reload') await driver.reload()
  else if (driver.upgrade === undefined) throw new DriverError('this cannot be upgraded: leave out --upgrades')
  else await driver.upgrade()
  return null
}

/** Kills one of the workers, and waits until as many serve as before. */
async function kill(driver: Driver): Promise<Killed> {
  const before = await driver.workers()
  const victim = before[Math.floor(Math.random() * before.length)]
  if (victim === undefined) throw new DriverError('there is no worker to kill')
  const { pid, open } = victim
  process.kill(pid, 'SIGKILL')
  if (!(await gone([pid], DEATH_TIME))) throw new DriverError(`worker ${pid} does not die`)
  const at = now()
  const deadline = at + SUCCESSOR_TIME
  const full = (workers: WorkerView[]): boolean =>
    workers.length >= before.length && !workers.some((worker) => worker.pid === pid)
  while (!full(await driver.workers())) {
    if (now() > deadline) throw new DriverError(`nobody takes the place of worker ${pid}\n${driver.output}`)
    await delay(LOOK)
  }
  return { pid, gone: at, open, workers: before.map((worker) => worker.pid) }
}

function reportOf(url: string, own: boolean, tally: Tally, deeds: Deed[], took: number): Report {
  const verdicts = judge(tally.losses, deeds)
  const allowed = verdicts.filter(({ allowedBy }) => allowedBy !== null).length
  const all = asked(tally.all.counts)
  const lost = all - tally.all.counts.answered
  return {
    ...tally,
    url,
    own,
    asked: all,
    deeds,
    verdicts,
    allowed,
    excluded: lost - allowed,
    untold: lost - verdicts.length,
    took,
  }
}
