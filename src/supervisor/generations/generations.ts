import { HandoverError, type SyscallError } from '../../errors.js'
import { guarded } from '../../guarded.js'
import { RELOAD_READY_DEFAULT } from '../../limits.js'
import { type Replacement, Replacements } from '../care/replacements.js'
import type { SettledReload } from '../options.js'
import type { PortRegistry } from '../ports/port-registry.js'
import type { Slot, SlotOwner } from '../workers/slot.js'
import type { WorkerEnd } from '../workers/worker.js'
import { replaceAll } from './all-at-once.js'
import { ExplicitReady } from './explicit-ready.js'
import { Generation, type GenerationStatus } from './generation.js'
import type { SettledReadiness } from './generation-options.js'
import { LastOutput } from './last-output.js'
import { checkScripts, type Place, resized, withProgram } from './places.js'
import { Rolling } from './rolling.js'
import { scaleTo } from './scaling.js'
import { Stage, stopped, type TellReload } from './stage.js'
import { Turns } from './turns.js'

/**
 * The generations of workers: the current one, one before it that stands by, those that drain, and the next one that gets
 * ready.
 *
 * Invariants: what serves is attached to the ports, and nothing else is; it changes within one turn of the event loop, so
 * that every connection finds somebody; all of it is of the current generation, but while a reload replaces worker by
 * worker; what fails to get ready never was attached; whoever stands by can take over within one turn.
 */
export class Generations {
  /** What workers wrote last. */
  readonly output = new LastOutput()
  readonly #explicit = new ExplicitReady()
  readonly #stage: Stage
  readonly #turns = new Turns()
  readonly #replacements: Replacements
  readonly #drainTimeout: number
  #current: Generation
  /** What the next generation is made of, if that is not what the current one was. */
  #base: readonly Place[] | null = null
  /** The last number given away. One that failed keeps its own. */
  #last = 1

  constructor(
    places: readonly Place[],
    readiness: SettledReadiness,
    owner: SlotOwner,
    ports: PortRegistry,
    tell: TellReload,
  ) {
    this.#stage = new Stage(owner, ports, this.output, this.#explicit, tell)
    this.#drainTimeout = owner.drainTimeout
    this.#replacements = new Replacements(this.#stage)
    this.#current = new Generation(1, places, readiness, owner)
    for (const place of places) this.#stage.roles.serve(this.#current.add(place))
    this.#stage.all.add(this.#current)
  }

  /** Of all generations, the oldest first. */
  get slots(): Slot[] {
    return [...this.#stage.all].flatMap(({ slots }) => [...slots])
  }

  /** Those that new connections go to. */
  get serving(): Slot[] {
    return this.slots.filter((slot) => this.serves(slot))
  }

  /** Whether there is such a place, be anybody there or not. */
  hasPlace(number: number): boolean {
    return this.#current.places.some((place) => place.number === number)
  }

  /** Whether a reload or a change of their number is under way, or waits, or a worker is being replaced. */
  get changing(): boolean {
    return this.#turns.length > 0 || this.#replacements.count > 0
  }

  /** What a successor goes on with. */
  get stage(): Stage {
    return this.#stage
  }

  get current(): Generation {
    return this.#current
  }

  /** The last number given away. */
  get last(): number {
    return this.#last
  }

  /** What is under way, so that no other supervisor can go on here; null: nothing. */
  get underWay(): string | null {
    if (this.#turns.length > 0) return 'a reload or a change of the number of workers is under way'
    return this.#replacements.count > 0 ? 'a worker is being replaced' : null
  }

  /** Goes on with the generations of another supervisor; the next one is made of our own places. */
  resume(all: readonly Generation[], current: Generation, last: number): void {
    this.#base = this.#current.places
    this.#stage.all.clear()
    for (const generation of all) this.#stage.all.add(generation)
    this.#current = current
    this.#last = last
  }

  /** Another supervisor goes on with all of them. */
  letGo(): void {
    this.#stage.stopped = true
    for (const slot of this.slots) guarded(() => slot.letGo())
    this.#stage.all.clear()
  }

  /** @throws {TypeError} a script is not there */
  check(): void {
    checkScripts(this.#current.places)
  }

  start(): void {
    this.#current.enter('starting')
    for (const slot of this.#current.slots) slot.start()
  }

  /** Whether new connections are this place's too. */
  serves(slot: Slot): boolean {
    return this.#stage.roles.serves(slot)
  }

  /** Whether it is among those that get ready. */
  prepares(slot: Slot): boolean {
    return this.#stage.roles.prepares(slot)
  }

  /** Whether a worker that dies there is replaced. */
  isKept(slot: Slot): boolean {
    return this.#stage.roles.isKept(slot)
  }

  /** A worker is hung, and given nothing; or goes on. */
  suspend(slot: Slot, suspended: boolean): void {
    this.#stage.roles.suspend(slot, suspended)
  }

  /** A worker listens. @returns whether it may serve: its program may have to say so first */
  listens(slot: Slot): boolean {
    const generation = [...this.#stage.all].find(({ number }) => number === slot.generation)
    return slot.target !== null && this.#explicit.listens(slot.target, generation?.readiness.explicit ?? false)
  }

  /** A program says that it is ready. @returns whether that was waited for */
  saidReady(slot: Slot): boolean {
    return slot.target !== null && this.#explicit.said(slot.target)
  }

  /** A worker listens on a port more, or less. */
  step(): void {
    if (this.#current.state === 'starting') this.#current.enter('serving')
    this.#stage.watch?.step()
    this.#replacements.step()
  }

  /** A worker is gone. @param refusal  why it got no port */
  ended(slot: Slot, end: WorkerEnd, refusal: SyscallError | undefined): void {
    this.#stage.watch?.ended(slot, end, refusal)
    this.#replacements.ended(slot, end, refusal)
  }

  /** Starts another worker in the place of one that serves, which drains then. @see Replacements */
  replace(slot: Slot, drainTimeout: number): Replacement {
    if (this.#stage.stopped) throw stopped()
    const generation = [...this.#stage.all].find(({ slots }) => slots.includes(slot))
    if (generation === undefined) throw new RangeError(`worker: there is no place ${slot.number}`)
    return this.#replacements.replace(generation, slot, drainTimeout)
  }

  /** Oldest first. */
  status(): GenerationStatus[] {
    return [...this.#stage.all].map((generation) => generation.status())
  }

  /** Lets every worker of every generation finish; settles when all are gone. */
  async stop(milliseconds: number): Promise<void> {
    this.#stage.stopped = true
    this.#stage.watch?.cancel(stopped())
    this.#replacements.abandon(stopped(), true)
    const { all } = this.#stage
    await Promise.all([...all].map((generation) => generation.stop(milliseconds).then(() => all.delete(generation))))
  }

  /**
   * Replaces the workers; settles when those before are gone.
   * @throws {HandoverError} ERR_HANDOVER_WORKERS_FAILED: the new ones do not serve, the old ones do as before;
   *   ERR_HANDOVER_ROLLED_BACK: they did, and the old ones do again; ERR_HANDOVER_SUPERSEDED: a later one came;
   *   ERR_HANDOVER_STOPPED: `stop` came first. {TypeError | RangeError} there is no such script, group, or number
   */
  async reload(reload: SettledReload): Promise<{ generation: number }> {
    if (this.#stage.stopped) throw stopped()
    this.#placesFor(reload) // what cannot be done supersedes nothing
    if (reload.supersede) this.#supersede()
    else this.#tellQueued('reload')
    const { generation, previous, gone } = await this.#turns.take('reload', () => this.#replace(reload))
    await gone
    this.#stage.tell('reloaded', { generation, previous })
    return { generation }
  }

  /**
   * More places in the current generation, or fewer; settles when new ones serve and others are gone.
   * @throws as `reload`
   */
  async scale(workers: number, group: string | null): Promise<void> {
    if (this.#stage.stopped) throw stopped()
    resized(this.#current.places, group, workers)
    this.#tellQueued('scale')
    let from = 0
    const { gone } = await this.#turns.take('scale', async () => {
      if (this.#stage.stopped) throw stopped()
      from = this.#current.places.filter((place) => place.group === group).length
      const places = resized(this.#current.places, group, workers)
      const times = { milliseconds: RELOAD_READY_DEFAULT, drainTimeout: this.#drainTimeout }
      const scaled = await scaleTo(this.#stage, this.#current, places, times)
      // A base that has no such group is another program's: there it stays none.
      if (this.#base?.some((place) => place.group === group)) this.#base = resized(this.#base, group, workers)
      return scaled
    })
    this.#stage.tell('scaled', { generation: this.#current.number, group, from, to: workers })
    this.#replacements.abandon(new HandoverError('ERR_HANDOVER_WORKERS_FAILED', 'its place is no more'), false)
    await gone
  }

  #tellQueued(what: 'reload' | 'scale'): void {
    if (this.#turns.length > 0) this.#stage.tell('queued', { what, ahead: this.#turns.length })
  }

  /** Ends the reload that gets ready, or whose health is watched, and those that wait. */
  #supersede(): void {
    const by = `superseded by generation ${this.#last + 1}`
    const { watch } = this.#stage
    const reloads = this.#turns.reloads
    this.#turns.refuseReloads(superseded(`${by} before it began`))
    if (reloads) watch?.fail(superseded(`generation ${this.#last}: ${by}`))
  }

  /** @throws {TypeError | RangeError} there is no such script, group, or number */
  #placesFor({ change, workers, groups }: SettledReload): readonly Place[] {
    let places = withProgram(this.#base ?? this.#current.places, change)
    if (workers !== undefined) places = resized(places, null, workers)
    for (const [group, count] of Object.entries(groups)) places = resized(places, group, count)
    checkScripts(places)
    return places
  }

  async #replace(reload: SettledReload): Promise<{ generation: number; previous: number; gone: Promise<void> }> {
    const stage = this.#stage
    if (stage.stopped) throw stopped()
    const places = this.#placesFor(reload)
    const [previous, base] = [this.#current, this.#base]
    const next = new Generation(++this.#last, places, reload.readiness, stage.owner)
    const makeCurrent = (generation: Generation): void => {
      this.#current = generation
      this.#base = generation === next ? null : base
      const why = 'a reload replaces all workers'
      this.#replacements.abandon(new HandoverError('ERR_HANDOVER_WORKERS_FAILED', why), false)
    }
    stage.all.add(next)
    const change = { previous, next, reload, makeCurrent }
    let gone = Promise.resolve()
    if (reload.rolling) await new Rolling(stage, change).run()
    else ({ gone } = await replaceAll(stage, change))
    return { generation: next.number, previous: previous.number, gone }
  }
}

function superseded(message: string): HandoverError {
  return new HandoverError('ERR_HANDOVER_SUPERSEDED', message)
}
