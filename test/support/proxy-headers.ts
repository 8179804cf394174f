import { number } from './client-hellos.js'

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')

export interface BinaryParts {
  /** Version and command. */
  command?: number
  /** Family and protocol. */
  transport?: number
  addresses?: Uint8Array
  fields?: Uint8Array
  /** Instead of the right one. */
  length?: number
}

/** 192.0.2.7:40000 to 192.0.2.1:443 */
export const IPV4 = Buffer.from('c0000207c00002019c4001bb', 'hex')

/** A header of version 2. */
export function binary(parts: BinaryParts = {}): Buffer {
  const rest = Buffer.concat([parts.addresses ?? IPV4, parts.fields ?? Buffer.alloc(0)])
  return Buffer.concat([
    SIGNATURE,
    Buffer.from([parts.command ?? 0x21, parts.transport ?? 0x11]),
    number(parts.length ?? rest.length, 2),
    rest,
  ])
}

/** One field of it. */
export const field = (type: number, value: Uint8Array | string): Buffer => {
  const bytes = Buffer.from(value as string)
  return Buffer.concat([Buffer.from([type]), number(bytes.length, 2), bytes])
}
