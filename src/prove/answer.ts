/** Bytes of a body that are kept to be looked at; of a longer one the beginning. */
const BODY_KEPT = 64 * 1024

/** One whole answer of HTTP/1. */
export interface Answer {
  status: number
  /** Names in lower case; of several the last. */
  headers: ReadonlyMap<string, string>
  body: string
  /** The connection is not to be used any more. */
  closes: boolean
}

type Length = number | 'chunked' | 'to the end'

interface Head {
  status: number
  headers: Map<string, string>
  length: Length
}

/**
 * Reads the answers of one connection from its bytes, however they are split (RFC 9112). Knows the requests only as far
 * as it must: answers to HEAD are not for it.
 */
export class AnswerReader {
  #text = ''
  #head: Head | null = null
  #body = ''
  /** Bytes of the body, or of its present chunk, that are still to come. */
  #missing = 0
  #inTrailers = false

  /** Some of an answer is here, and not all. */
  get begun(): boolean {
    return this.#head !== null || this.#text !== ''
  }

  /** A header of the answer that is being read. */
  header(name: string): string | undefined {
    return this.#head?.headers.get(name)
  }

  /** @returns the answers that are now whole. @throws {Error} what no answer looks like */
  read(bytes: Buffer): Answer[] {
    this.#text += bytes.toString('latin1')
    const whole: Answer[] = []
    while (this.#readHead() && this.#readBody()) whole.push(this.#take())
    return whole
  }

  /** The connection has ended. @returns the answer whose end that was, if it was one */
  end(): Answer | null {
    return this.#head?.length === 'to the end' ? this.#take() : null
  }

  #take(): Answer {
    const { status, headers, length } = this.#head as Head
    const closes = length === 'to the end' || /\bclose\b/i.test(headers.get('connection') ?? '')
    const answer = { status, headers, body: this.#body, closes }
    this.#head = null
    this.#body = ''
    this.#inTrailers = false
    return answer
  }

  #readHead(): boolean {
    while (this.#head === null) {
      const end = this.#text.indexOf('\r\n\r\n')
      if (end < 0) {
        if (!'HTTP/1.'.startsWith(this.#text.slice(0, 7))) throw new Error(`no answer: ${shown(this.#text)}`)
        return false
      }
      const [first = '', ...lines] = this.#text.slice(0, end).split('\r\n')
      const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(first)?.[1] ?? Number.NaN)
      if (Number.isNaN(status)) throw new Error(`no answer: ${shown(first)}`)
      this.#text = this.#text.slice(end + 4)
      if (status < 200 && status !== 101) continue // 100 Continue, 103 Early Hints
      const headers = new Map<string, string>()
      for (const line of lines) {
        const colon = line.indexOf(':')
        headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim())
      }
      const length = lengthOf(status, headers)
      this.#missing = typeof length === 'number' ? length : 0
      this.#head = { status, headers, length }
    }
    return true
  }

  #readBody(): boolean {
    const { length } = this.#head as Head
    if (length === 'to the end') {
      this.#keep(this.#text.length)
      return false
    }
    if (length === 'chunked') return this.#readChunks()
    this.#missing -= this.#keep(this.#missing)
    return this.#missing === 0
  }

  /** `#missing` counts the CR LF behind a chunk, too. */
  #readChunks(): boolean {
    for (;;) {
      if (this.#missing > 2) this.#missing -= this.#keep(this.#missing - 2)
      if (this.#missing > 2) return false
      if (this.#missing > 0) {
        if (this.#text.length < this.#missing) return false
        this.#text = this.#text.slice(this.#missing)
        this.#missing = 0
      }
      const end = this.#text.indexOf('\r\n')
      if (end < 0) return false
      const line = this.#text.slice(0, end)
      this.#text = this.#text.slice(end + 2)
      if (this.#inTrailers) {
        if (line === '') return true
        continue
      }
      const size = /^[0-9a-f]+/i.test(line) ? Number.parseInt(line, 16) : Number.NaN
      if (Number.isNaN(size)) throw new Error(`no chunk: ${shown(line)}`)
      if (size === 0) this.#inTrailers = true
      else this.#missing = size + 2
    }
  }

  /** Moves at most so many bytes to the body. @returns how many */
  #keep(most: number): number {
    const piece = this.#text.slice(0, most)
    this.#text = this.#text.slice(piece.length)
    if (this.#body.length < BODY_KEPT) this.#body += piece.slice(0, BODY_KEPT - this.#body.length)
    return piece.length
  }
}

function lengthOf(status: number, headers: ReadonlyMap<string, string>): Length {
  if (status === 204 || status === 304 || status === 101) return 0
  if (/\bchunked\b/i.test(headers.get('transfer-encoding') ?? '')) return 'chunked'
  const length = headers.get('content-length')
  if (length === undefined) return 'to the end'
  if (!/^\d+$/.test(length)) throw new Error(`content-length: ${shown(length)}`)
  return Number(length)
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 80))
}
