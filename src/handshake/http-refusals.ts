/** Whole answers to requests that lead nowhere; without bodies, so that they answer HEAD as well. */
const answer = (status: string): Buffer =>
  Buffer.from(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)

export const BAD_REQUEST = answer('400 Bad Request')
export const NOT_FOUND = answer('404 Not Found')
/** RFC 9110, 15.5.20: this server does not answer for this host. */
export const MISDIRECTED_REQUEST = answer('421 Misdirected Request')
/** RFC 6585, 5. */
export const HEAD_TOO_LARGE = answer('431 Request Header Fields Too Large')

/** HTTP/2: empty SETTINGS, then GOAWAY with no stream served and the error HTTP_1_1_REQUIRED (RFC 9113, 6.8 and 7). */
export const HTTP2_GOAWAY = Buffer.from('000000040000000000' + '00000807000000000000000000' + '0000000d', 'hex')
