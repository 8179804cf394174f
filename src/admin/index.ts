/** handover/admin: a supervisor seen from outside. */
export { AgentCheck, type AgentCheckOptions } from './agent-check.js'
export { type AdminOptions, adminAddress, newToken } from './options.js'
export type { Watched } from './seen.js'
export { AdminServer } from './server.js'
