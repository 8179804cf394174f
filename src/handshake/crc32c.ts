/** The polynomial of CRC-32C, its bits reversed. */
const POLYNOMIAL = 0x82f63b78

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte
  for (let bit = 0; bit < 8; bit++) remainder = remainder & 1 ? (remainder >>> 1) ^ POLYNOMIAL : remainder >>> 1
  return remainder >>> 0
})

/**
 * The CRC-32C of the bytes, those from `zeroAt` on counted as four zeros, as where a checksum stands in what it covers.
 * @see RFC 9260, appendix A
 */
export function crc32c(bytes: Uint8Array, zeroAt = bytes.length): number {
  let crc = 0xffffffff
  for (let i = 0; i < bytes.length; i++) {
    const byte = i >= zeroAt && i < zeroAt + 4 ? 0 : (bytes[i] as number)
    crc = (crc >>> 8) ^ (TABLE[(crc ^ byte) & 0xff] as number)
  }
  return ~crc >>> 0
}
