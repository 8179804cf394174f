/** handover/ws: live WebSockets of the package ws go from process to process, and their clients notice nothing. */

import { registerBuiltinKinds } from '../transport/builtin-kinds.js'

export type { WebSocketLike, WebSocketServerLike } from './inside.js'
export { type MovableOptions, type MovableWebSockets, movableWebSockets } from './movable.js'
export { putTogether } from './put-together.js'
export { type ReadyOptions, ready } from './ready.js'
export type { WebSocketState } from './state.js'
export { type TakenApart, takeApart } from './take-apart.js'
export { prepare } from './window.js'

registerBuiltinKinds()
