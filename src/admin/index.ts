/** handover/admin: a supervisor seen from outside. */
export { type AdminOptions, adminAddress, newToken } from './options.js'
export { AdminServer } from './server.js'
