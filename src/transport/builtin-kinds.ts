import { registerKind, type ThingKind } from '../channel/kinds.js'
import { connectionKind } from './connection.js'
import { datagramKind } from './datagram.js'
import { fileKind } from './file.js'
import { descriptorKind } from './plain-descriptor.js'
import { portKind } from './port.js'
import { serverKind } from './server.js'

/** The kinds of things that every channel knows. No thing is of two of them. */
export const builtinKinds: readonly ThingKind[] = [
  descriptorKind,
  fileKind,
  datagramKind,
  portKind,
  serverKind,
  connectionKind,
]

let registered = false

/** Makes them known. Calling it twice does nothing. */
export function registerBuiltinKinds(): void {
  if (registered) return
  registered = true
  for (const kind of builtinKinds) registerKind(kind)
}
