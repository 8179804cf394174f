import { diagnostics, publish } from '../diagnostics.js'
import { guarded } from '../guarded.js'
import { closeMany } from '../syscalls/descriptor.js'
import { badFrame } from '../wire/frame.js'
import { acceptHello, type Hello } from '../wire/hello.js'
import { encodeVerdict, Outcome } from '../wire/offer.js'
import type { Deliveries } from './deliveries.js'
import type { LinkHandlers } from './handlers.js'
import type { InboxVisitor } from './inbox.js'
import type { Outbox } from './outbox.js'

/** What each frame of the peer does: to the claims owed here, to the copies held here, to the owner of the link. */
export function incoming(
  outbox: Outbox,
  deliveries: Deliveries,
  handlers: LinkHandlers,
  greeted: (peer: Hello) => void,
): InboxVisitor {
  const { held } = outbox
  return {
    hello: (value, sender) => {
      const peer = acceptHello(value)
      greeted(peer)
      outbox.pid = peer.pid
      outbox.open()
      guarded(() => handlers.opened?.(peer, sender))
    },
    message: (message) => deliveries.addMessage(message),
    offered: (offer, descriptors) => {
      if (handlers.offered) return handlers.offered(offer, descriptors)
      if (descriptors !== null) closeMany(descriptors)
      outbox.append(encodeVerdict(offer.number, Outcome.refused, 'this program takes no offers'))
    },
    answered: (verdict) => {
      if (!handlers.answered) throw badFrame(`an answer to offer ${verdict.number}, which was never made`)
      handlers.answered(verdict)
    },
    withdrawn: (offer) => guarded(() => handlers.withdrawn?.(offer)),
    transports: (tag, descriptors, details) => {
      if (isWilling(handlers, tag, descriptors.length)) {
        outbox.claim(descriptors.length)
        deliveries.addTransports(tag, descriptors, details)
        return
      }
      closeMany(descriptors)
      outbox.refuse(descriptors.length)
    },
    lost: (count) => {
      outbox.refuse(count)
      guarded(() => handlers.lost?.(count))
    },
    claimed: (upTo) => {
      held.checkSent(upTo)
      if (diagnostics.claim.hasSubscribers && upTo > held.settled) {
        publish<'handover:claim'>(diagnostics.claim, { pid: outbox.pid, connections: upTo - held.settled })
      }
      held.close(upTo)
      guarded(() => handlers.claimed?.())
    },
    refused: (first, count) => {
      held.checkSent(first)
      held.checkSent(first + count)
      held.close(first)
      outbox.returned(count)
      const returned = held.giveBack(first + count)
      if (handlers.returned) guarded(() => handlers.returned?.(returned))
      else closeMany(returned.descriptors)
    },
    finished: (count) => guarded(() => handlers.finished?.(count)),
    port: (tag, descriptor) => {
      if (!handlers.port) {
        if (descriptor !== null) closeMany(descriptor)
        throw badFrame('a listening port, which this program has no use for')
      }
      deliveries.addPort(tag, descriptor ?? NO_DESCRIPTORS)
    },
    accepted: (count) => guarded(() => handlers.accepted?.(count)),
  }
}

const NO_DESCRIPTORS = new Int32Array(0)

function isWilling({ willing, transports }: LinkHandlers, tag: number, count: number): boolean {
  let answer = transports !== undefined
  if (willing) {
    guarded(() => {
      answer = willing(tag, count)
    })
  }
  return answer
}
