import net from 'node:net'
import { shown } from '../arguments.js'
import { insideServer, leave, madeDeflate, setDeflate, type WebSocketLike, type WebSocketServerLike } from './inside.js'
import { parseState, type WebSocketState } from './state.js'
import { keepWindow } from './window.js'

/**
 * Makes a WebSocket of the parts of one, as a member of `server` and with its options. It emits nothing before the next
 * tick; 'connection' of the server does not come. Takes the socket, unless it throws.
 * @param state   as `takeApart` gave it
 * @param unread  as `takeApart` gave it, unless the socket has it in front already; takes it
 * @throws {HandoverError} ERR_HANDOVER_BAD_FRAME: the state says nothing of a WebSocket
 */
export function putTogether<Socket extends WebSocketLike>(
  server: WebSocketServerLike<Socket>,
  socket: net.Socket,
  state: WebSocketState,
  unread: Buffer = Buffer.alloc(0),
): Socket {
  const inside = insideServer(server)
  if (!(socket instanceof net.Socket)) throw new TypeError(`socket: a net.Socket, not ${shown(socket)}`)
  const { protocol, binaryType, paused, deflate, window = '' } = parseState(state)
  const ws = new inside.options.WebSocket(null, undefined, inside.options)
  ws._protocol = protocol
  ws.binaryType = binaryType
  if (deflate !== undefined) {
    const before = Buffer.from(window, 'base64')
    const made = madeDeflate(inside, deflate, before)
    keepWindow(made, before)
    setDeflate(ws, made)
  }
  ws._paused = paused
  if (paused) socket.pause()
  ws.setSocket(socket, unread, inside.options)
  if (!paused) socket.resume() // whoever brought it may have paused it
  if (inside.clients !== undefined) {
    inside.clients.add(ws)
    ws.on('close', () => leave(inside, ws))
  }
  return ws as WebSocketLike as Socket
}
