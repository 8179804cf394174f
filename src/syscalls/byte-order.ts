import { endianness } from 'node:os'

/** What a DataView is told about numbers in the kernel's structures. */
export const LITTLE_ENDIAN = endianness() === 'LE'
