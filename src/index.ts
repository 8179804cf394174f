/** handover: live connections and listening ports from one process to another. */
export { type Policy, type PolicyFunction, type PolicyName, policyNames } from './dispatch/policy.js'
export type { TargetStatus } from './dispatch/target.js'
export {
  HandoverError,
  type HandoverErrorCode,
  handoverErrorCodes,
  SyscallError,
} from './errors.js'
export type { SupervisorEvents } from './supervisor/events.js'
export type { SupervisorOptions } from './supervisor/options.js'
export { Supervisor, type SupervisorStatus } from './supervisor/supervisor.js'
export type { SocketAddress } from './transport/address.js'
export type { Connection } from './transport/arrivals.js'
export { ListeningPort, type ListenOptions } from './transport/listening-port.js'
export { type ServeOptions, serve } from './worker/serve.js'
