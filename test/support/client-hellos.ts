import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TlsVersion } from '../../src/handshake/client-hello.js'
import { root } from './paths.js'

/** What a real client said first, and what it was asked to say. */
export interface RecordedHello {
  file: string
  name: string | null
  alpn: string[]
  version: TlsVersion
  ech: boolean
  bytes: Buffer
}

/** What scripts/record-client-hellos.mjs recorded. */
export function recordedHellos(): RecordedHello[] {
  const folder = join(root, 'test/fixtures/client-hellos')
  const index = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as RecordedHello[]
  return index.map((one) => ({ ...one, bytes: fromHex(readFileSync(join(folder, one.file), 'utf8')) }))
}

function fromHex(text: string): Buffer {
  return Buffer.from(text.replace(/\s/g, ''), 'hex')
}

/** A number of `width` bytes, the highest first. */
export function number(value: number, width: number): Buffer {
  const bytes = Buffer.alloc(width)
  bytes.writeUIntBE(value, 0, width)
  return bytes
}

/** A vector of TLS: its length in `width` bytes, then its bytes. */
export function vector(width: number, ...pieces: Uint8Array[]): Buffer {
  const bytes = Buffer.concat(pieces)
  return Buffer.concat([number(bytes.length, width), bytes])
}

/** Records that carry `message`, of these sizes, the last one again and again. */
export function records(message: Buffer, ...sizes: number[]): Buffer {
  const pieces: Buffer[] = []
  for (let at = 0; at < message.length; ) {
    const size = sizes[Math.min(pieces.length, sizes.length - 1)] ?? 0x4000
    const piece = message.subarray(at, at + size)
    pieces.push(Buffer.concat([Buffer.from([22, 3, 1]), vector(2, piece)]))
    at += piece.length
  }
  return Buffer.concat(pieces)
}

/** The handshake message in the records of a recording. */
export function messageIn(bytes: Buffer): Buffer {
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length; at += 5 + bytes.readUInt16BE(at + 3)) {
    pieces.push(bytes.subarray(at + 5, at + 5 + bytes.readUInt16BE(at + 3)))
  }
  return Buffer.concat(pieces)
}

export const extension = (type: number, ...data: Uint8Array[]): Buffer =>
  Buffer.concat([number(type, 2), vector(2, ...data)])

export const serverName = (name: string | Buffer): Buffer =>
  extension(0, vector(2, Buffer.from([0]), vector(2, Buffer.from(name))))

export const protocols = (...names: (string | Buffer)[]): Buffer =>
  extension(16, vector(2, ...names.map((name) => vector(1, Buffer.from(name)))))

export const versions = (...list: number[]): Buffer => extension(43, vector(1, ...list.map((one) => number(one, 2))))

export interface HelloParts {
  legacy?: number
  session?: number
  ciphers?: Buffer
  compression?: Buffer
  /** Null: not even their length. */
  extensions?: Buffer[] | null
  tail?: Buffer
}

/** A ClientHello message made by hand. */
export function helloMessage(parts: HelloParts = {}): Buffer {
  const { legacy = 0x303, session = 32, extensions = [], ciphers = Buffer.from('1301', 'hex') } = parts
  const body = [
    number(legacy, 2),
    Buffer.alloc(32, 7),
    vector(1, Buffer.alloc(session, 9)),
    vector(2, ciphers),
    vector(1, parts.compression ?? Buffer.from([0])),
    ...(extensions === null ? [] : [vector(2, ...extensions)]),
    parts.tail ?? Buffer.alloc(0),
  ]
  return Buffer.concat([Buffer.from([1]), vector(3, ...body)])
}
