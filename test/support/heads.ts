/** Heads of requests, written line by line. */

/** The lines of a head, each with its end, and the empty line. */
export function head(...lines: string[]): Buffer {
  return Buffer.from(`${[...lines, ''].map((line) => `${line}\r\n`).join('')}`, 'latin1')
}

/** A request for a path of a host. */
export function request(path: string, host: string | null = 'example.com', ...headers: string[]): Buffer {
  return head(`GET ${path} HTTP/1.1`, ...(host === null ? [] : [`Host: ${host}`]), ...headers)
}

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
