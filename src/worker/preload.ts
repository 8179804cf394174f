/**
 * Loaded before an unmodified program (`node --import handover/preload app.js`): every server that it makes listen is
 * served through the master's ports. Does nothing in a program that was started without a channel.
 */

import { hookListen } from '../runtime/node-internals.js'
import { attachedMaster } from './attach.js'
import { PortHandle } from './port-handle.js'

const master = attachedMaster()
if (master !== null) hookListen((server, place) => new PortHandle(master, server, place).handle)
