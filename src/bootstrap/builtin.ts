import { inheritance } from './inherit.js'
import { pid } from './lend.js'
import { registerBootstrap } from './registry.js'
import { systemd } from './systemd.js'
import { unix } from './unix.js'

/** Makes known the bootstraps that come with the package. Once a process or thread. */
export function registerBuiltinBootstraps(): void {
  for (const bootstrap of [unix, inheritance, pid, systemd]) registerBootstrap(bootstrap)
}
