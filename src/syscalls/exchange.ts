/**
 * The memory that a call shares with the addon beside its arguments: addresses and control messages go through here
 * and cost no allocation. Whatever a call leaves is valid until the next one: read it at once, let no other code run.
 */
import { constant, kernel } from './kernel.js'

const memory = kernel.exchange
const at = (name: string): number => constant(name)

const numbers = new Int32Array(memory, 0, 4)

/** A socket address in the kernel's own form, 128 bytes. */
export const address = new Uint8Array(memory, at('EXCHANGE_ADDRESS'), at('ADDRESS_BYTES'))

/** Four numbers a control message: level, type, where its data starts in {@link control}, how many bytes that has. */
export const controlIndex = new Int32Array(memory, at('EXCHANGE_INDEX'), 4 * at('CONTROL_MESSAGES_MAX'))

/** Control messages as the kernel knows them. */
export const control = new Uint8Array(memory, at('EXCHANGE_CONTROL'), at('CONTROL_BYTES_MAX'))

/** Flags of the message received last. */
export const receivedFlags = (): number => numbers[0] as number

/** Bytes of {@link address} that the last call wrote; 0 for no address. */
export const addressLength = (): number => numbers[1] as number

/** Control messages of the message received last. */
export const receivedControls = (): number => numbers[2] as number
