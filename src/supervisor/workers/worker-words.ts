import { SyscallError } from '../../errors.js'
import type { SocketAddress } from '../../transport/address.js'
import type { FromWorker } from '../../wire/control.js'
import type { SupervisorEvents } from '../events.js'
import { codeOf, type PortRegistry } from '../ports/port-registry.js'
import type { ChannelTarget } from './channel-target.js'
import type { Slot } from './slot.js'

/** Who acts on what workers say. */
export interface WordsOwner {
  emit<Name extends 'listening' | 'refused' | 'cut'>(name: Name, event: SupervisorEvents[Name][0]): void
  /** A worker serves these ports more, or, with none, waits for nothing but hand-overs. */
  ready(slot: Slot, target: ChannelTarget, ports: readonly number[]): void
  /** A worker's program says that it is ready. */
  appReady(slot: Slot, target: ChannelTarget): void
  /** A worker serves a port less. */
  step(): void
}

/** Hears what workers say, and answers what they ask. */
export class WorkerWords {
  readonly #ports: PortRegistry
  readonly #owner: WordsOwner
  readonly #refusals = new WeakMap<Slot, SyscallError>()

  constructor(ports: PortRegistry, owner: WordsOwner) {
    this.#ports = ports
    this.#owner = owner
  }

  /** Why the worker of a place got no port; undefined: it got what it asked for, or did not ask. */
  refusal(slot: Slot): SyscallError | undefined {
    return this.#refusals.get(slot)
  }

  hear(slot: Slot, target: ChannelTarget, message: FromWorker): void {
    switch (message.type) {
      case 'listen':
        return this.#answer(slot, message.id, () => {
          const { reply, opened } = this.#ports.listen(message, slot)
          slot.tell(reply)
          if (opened) this.#owner.emit('listening', { address: this.#ports.addresses.at(-1) as SocketAddress | string })
          this.#ready(slot, target, reply.ports)
        })
      case 'serve':
        return this.#answer(slot, message.id, () => {
          const reply = this.#ports.serveAll(message.id, slot)
          slot.tell(reply)
          this.#ready(slot, target, reply.ports)
        })
      case 'ready':
        return this.#ready(slot, target, [])
      case 'appReady':
        return this.#owner.appReady(slot, target)
      case 'chmod':
        return this.#answer(slot, message.id, () => {
          this.#ports.chmod(message.port, message.mode, message.keep)
          slot.tell({ type: 'done', reply: message.id })
        })
      case 'close':
        target.served.delete(message.port)
        this.#ports.close(message.port, slot, target)
        return this.#owner.step()
      case 'noPort':
        return this.#ports.feed(message.port, target)
      case 'cut':
        return this.#owner.emit('cut', { worker: slot.number, connections: message.connections })
      default: // 'drained' is seen as the worker's end; words of later releases are ignored
    }
  }

  #ready(slot: Slot, target: ChannelTarget, ports: readonly number[]): void {
    this.#refusals.delete(slot)
    for (const id of ports) target.served.add(id)
    this.#owner.ready(slot, target, ports)
  }

  /** A request that fails is answered with the name of the error. */
  #answer(slot: Slot, id: number, attempt: () => void): void {
    try {
      attempt()
    } catch (error) {
      if (error instanceof SyscallError) {
        this.#refusals.set(slot, error)
        this.#owner.emit('refused', { worker: slot.number, error })
      }
      slot.tell({ type: 'failed', reply: id, code: codeOf(error) })
    }
  }
}
