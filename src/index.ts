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
export { type AddressBits, addressKey } from './handshake/address-key.js'
export { type Destination, refuse } from './handshake/destination.js'
export { type FirstLineOptions, firstLine } from './handshake/first-line.js'
export type { Setback } from './handshake/handshake.js'
export type { HttpKey } from './handshake/http-key.js'
export { type HttpRequestHeadOptions, httpRequestHead } from './handshake/http-request-head.js'
export type { HttpRoute } from './handshake/http-route.js'
export {
  type InspectedConnection,
  inspectPort,
  PortInspection,
  type PortInspectionEvents,
} from './handshake/inspect-port.js'
export type { HandshakeOptions } from './handshake/options.js'
export { type ProxyProtocolOptions, proxyProtocol } from './handshake/proxy-protocol.js'
export { sessionId } from './handshake/session-id.js'
export { type TlsKey, type TlsServerNameOptions, tlsServerName } from './handshake/tls-server-name.js'
export type { Header, Inspect, Inspected, More, Refusal, Verdict } from './handshake/verdict.js'
export type { SupervisorEvents } from './supervisor/events.js'
export type { GenerationState, GenerationStatus } from './supervisor/generations/generation.js'
export type { GenerationOptions, ReadinessOptions } from './supervisor/generations/generation-options.js'
export type { GroupOptions } from './supervisor/generations/places.js'
export type { ReloadOptions, SupervisorOptions } from './supervisor/options.js'
export { answerOrphan, type OrphanOptions } from './supervisor/orphans.js'
export type { DistributionMode, DistributionRule } from './supervisor/ports/distribution-options.js'
export type { PortKeeper } from './supervisor/ports/port-keeper.js'
export type { SupervisorHandOverOptions } from './supervisor/relay/hand-over.js'
export { Service } from './supervisor/service/service.js'
export type { SetbackEvent, SetbackKind } from './supervisor/setbacks.js'
export type { SupervisorStatus } from './supervisor/status.js'
export type { HandOverToOptions } from './supervisor/succession/hand-over-to.js'
export { type HeirOptions, isHeir, startHeir } from './supervisor/succession/start-heir.js'
export { Supervisor } from './supervisor/supervisor.js'
export type { SocketAddress } from './transport/address.js'
export type { Connection } from './transport/arrivals.js'
export { adopt, release } from './transport/connection.js'
export type { ConnectionDetails, TransportKind } from './transport/connection-details.js'
export { movableConnections, serveConnection } from './transport/http-connections.js'
export { ListeningPort, type ListenOptions } from './transport/listening-port.js'
export type { Proxied, ProxyField } from './transport/proxied.js'
export type { Route } from './transport/route.js'
export { proxied } from './transport/shown-ends.js'
export { type Identifiable, identify } from './transport/things.js'
export { Transport } from './transport/transport.js'
export type { AppWorker, AppWorkerEvents } from './worker/app-worker.js'
export { type Drain, onDrain } from './worker/drain-handlers.js'
export { type HandOverOptions, handOver, onHandOver } from './worker/hand-over.js'
export { type ServeOptions, serve } from './worker/serve.js'
export { worker } from './worker/this-worker.js'

registerBuiltinBootstraps()

registerBuiltinKinds()
