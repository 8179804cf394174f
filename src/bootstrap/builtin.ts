import { inheritance } from './inherit.js'
import { pid } from './lend.js'
import { registerBootstrap } from './registry.js'
import { systemd } from './systemd.js'
import { unix } from './unix.js'

let registered = false

/** Makes known the bootstraps that come with the package; once is enough, more does nothing. */
export function registerBuiltinBootstraps(): void {
  if (registered) return
  registered = true
  for (const bootstrap of [unix, inheritance, pid, systemd]) registerBootstrap(bootstrap)
}
