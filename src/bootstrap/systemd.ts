/** Channels over what a service manager passed: `systemd:NAME`, a listening UNIX socket or a connected one. */
import { type End, endCredentials } from '../channel/end.js'
import { HandoverError } from '../errors.js'
import type { Descriptor } from '../sendmsg/descriptor.js'
import { ListeningPort } from '../transport/listening-port.js'
import { type Activation, activation } from './activation.js'
import type { Bootstrap } from './registry.js'
import { UnixSource } from './unix.js'

let passed: Activation | null | undefined

/** All that was passed, asked once; what no channel takes stays there. */
function take(name: string): Descriptor {
  passed ??= activation()
  if (passed === null) {
    throw new HandoverError(
      'ERR_HANDOVER_ACTIVATION',
      `systemd:${name}: nothing was passed to this process, or it is taken already`,
    )
  }
  return passed.take(/^\d+$/.test(name) ? Number(name) : name)
}

export const systemd: Bootstrap = {
  scheme: 'systemd',
  connect: (name): End => {
    const descriptor = take(name).release()
    return { descriptor, credentials: endCredentials(descriptor) }
  },
  listen: (name) => new UnixSource(ListeningPort.adopt(take(name).release())),
}
