/**
 * The path as routes are compared with it: escapes of letters, digits and `-._~` undone (RFC 3986, 6.2.2.2), other escapes
 * in upper case, several slashes in a row as one.
 * @returns null if servers may take it for different paths: `.` and `..` segments (which clients resolve before they
 * send, unless they are up to something), backslashes, broken escapes
 */
export function normalPath(path: string): string | null {
  if (path.includes('\\')) return null
  const plain = path.includes('%') ? unescaped(path) : path
  if (plain === null) return null
  const single = plain.includes('//') ? plain.split('/').filter(keeps).join('/') : plain
  return single.includes('/.') && single.split('/').some((one) => one === '.' || one === '..') ? null : single
}

/** Every segment but empty ones between the first slash and the last. */
function keeps(segment: string, index: number, segments: readonly string[]): boolean {
  return segment !== '' || index === 0 || index === segments.length - 1
}

function unescaped(path: string): string | null {
  const [first, ...rest] = path.split('%')
  let plain = first as string
  for (const piece of rest) {
    const code = hexValue(piece)
    if (code < 0) return null
    plain += (isUnreserved(code) ? String.fromCharCode(code) : `%${piece.slice(0, 2).toUpperCase()}`) + piece.slice(2)
  }
  return plain
}

/** What the first two characters say in hexadecimal; -1 if they do not. */
function hexValue(text: string): number {
  const [high, low] = [hexDigit(text.charCodeAt(0)), hexDigit(text.charCodeAt(1))]
  return high < 0 || low < 0 ? -1 : high * 16 + low
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const letter = code | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}

function isUnreserved(code: number): boolean {
  const letter = code | 0x20
  if ((letter >= 0x61 && letter <= 0x7a) || (code >= 0x30 && code <= 0x39)) return true
  return code === 0x2d || code === 0x2e || code === 0x5f || code === 0x7e
}
