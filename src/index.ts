/** handover: live connections and listening ports from one process to another. */

import { registerBuiltinBootstraps } from './bootstrap/builtin.js'
import { registerBuiltinKinds } from './transport/builtin-kinds.js'

export { Activation, activation, type PassedDescriptor } from './bootstrap/activation.js'
export type { Admission, AdmissionRules } from './bootstrap/admission.js'
export { receiveBare } from './bootstrap/bare.js'
export {
  type BareDelivery,
  BareReceiver,
  type BareReceiverEvents,
  type ReceiveBareOptions,
} from './bootstrap/bare-receiver.js'
export { type ConnectOptions, connect } from './bootstrap/connect.js'
export { inherited, type SpawnWithChannelOptions, spawnWithChannel as spawn } from './bootstrap/inherit.js'
export { channelOverIpc } from './bootstrap/ipc.js'
export { type Loan, lend } from './bootstrap/lend.js'
export {
  ChannelListener,
  type ChannelListenerEvents,
  type ChannelListenOptions,
  type ListeningOptions,
  listen,
} from './bootstrap/listen.js'
export { Notifier, type NotifierOptions, notifier, type StoreOptions } from './bootstrap/notify.js'
export type { NotifyFields } from './bootstrap/notify-fields.js'
export { type TakeDescriptorOptions, takeDescriptor } from './bootstrap/process.js'
export {
  type Bootstrap,
  type BootstrapConnectOptions,
  type BootstrapListenOptions,
  type Caller,
  type EndSource,
  registerBootstrap,
} from './bootstrap/registry.js'
export { Channel } from './channel/channel.js'
export type { End } from './channel/end.js'
export {
  type Arrived,
  type Parcel,
  type ReleaseOptions,
  registerKind,
  type ThingKind,
} from './channel/kinds.js'
export type {
  ChannelEvents,
  ChannelOptions,
  Delivery,
  OfferView,
  Peer,
  ReceiveOptions,
  Reconnect,
  SendOptions,
  Willing,
} from './channel/options.js'
export { Shared, share } from './channel/packing.js'
export { type Policy, type PolicyFunction, type PolicyName, policyNames } from './dispatch/policy.js'
export type { TargetStatus } from './dispatch/target.js'
export {
  HandoverError,
  type HandoverErrorCode,
  handoverErrorCodes,
  SyscallError,
} from './errors.js'
export type { SupervisorEvents } from './supervisor/events.js'
export type { SupervisorHandOverOptions } from './supervisor/hand-over.js'
export type { ReloadOptions, SupervisorOptions } from './supervisor/options.js'
export type { SupervisorStatus } from './supervisor/status.js'
export { Supervisor } from './supervisor/supervisor.js'
export type { SocketAddress } from './transport/address.js'
export type { Connection } from './transport/arrivals.js'
export { adopt, release } from './transport/connection.js'
export type { ConnectionDetails, TransportKind } from './transport/connection-details.js'
export { movableConnections, serveConnection } from './transport/http-connections.js'
export { ListeningPort, type ListenOptions } from './transport/listening-port.js'
export { type Identifiable, identify } from './transport/things.js'
export { Transport } from './transport/transport.js'
export { type Drain, onDrain } from './worker/drain-handlers.js'
export { type HandOverOptions, handOver, onHandOver } from './worker/hand-over.js'
export { type ServeOptions, serve } from './worker/serve.js'

registerBuiltinBootstraps()

registerBuiltinKinds()
