/** What real clients said: read as they meant it, and as Node's own TLS reads it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import net, { type AddressInfo } from 'node:net'
import { Duplex } from 'node:stream'
import test, { type TestContext } from 'node:test'
import tls from 'node:tls'
import fc from 'fast-check'
import { parseClientHello } from '../../src/handshake/client-hello.js'
import { CLIENT_HELLO_BYTES_MAX } from '../../src/limits.js'
import { messageIn, recordedHellos, records } from '../support/client-hellos.js'
import { cuts, lawful } from '../support/first-bytes.js'
import { certificate } from '../support/programs.js'

const hellos = recordedHellos()

test('the corpus has hellos of every kind', () => {
  assert.ok(hellos.length >= 30)
  assert.ok(hellos.some(({ ech }) => ech))
  assert.ok(
    hellos.some(({ bytes }) => bytes.length > 1460),
    'one that is larger than a packet',
  )
  assert.ok(
    hellos.some(({ bytes }) => bytes.length > 5 + bytes.readUInt16BE(3)),
    'one in several records',
  )
  for (const version of ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3']) {
    assert.ok(
      hellos.some((one) => one.version === version),
      version,
    )
  }
})

for (const { file, name, alpn, version, ech, bytes } of hellos) {
  const expected = { found: { name, alpn, version, ech, sslv2: false } }

  test(`${file}: reads as what was sent, cut at every byte, and in records of any size`, () => {
    assert.deepEqual(lawful(parseClientHello, bytes, CLIENT_HELLO_BYTES_MAX), expected)
    assert.deepEqual(parseClientHello(bytes.subarray(0, -1)), { more: bytes.length })
    const message = messageIn(bytes)
    for (const sizes of [[2], [3, 2], [100], [4, 1, 600], [message.length - 1]]) {
      const again = records(message, ...sizes)
      assert.deepEqual(lawful(parseClientHello, again, CLIENT_HELLO_BYTES_MAX, cuts(again.length, 300)), expected)
    }
  })
}

/** What a server of Node's sees of hellos: the name, null without one, and the protocols, null without any. */
async function nodeServer(
  t: TestContext,
): Promise<(bytes: Buffer) => Promise<{ name: string | null; alpn: string[] }>> {
  let seen: { name: string | null; alpn: string[] } = { name: null, alpn: [] }
  const { keyFile, cert } = certificate(t)
  const server = tls.createServer({
    key: readFileSync(keyFile),
    cert,
    minVersion: 'TLSv1',
    ciphers: 'ALL:@SECLEVEL=0',
    SNICallback: (name, answer) => {
      seen.name = name
      answer(null)
    },
    ALPNCallback: ({ protocols }) => {
      seen.alpn = protocols
      return protocols[0]
    },
  })
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  return async (bytes) => {
    seen = { name: null, alpn: [] }
    const socket = net.connect(port, '127.0.0.1').on('error', () => {})
    socket.resume().end(bytes)
    await once(socket, 'close')
    return seen
  }
}

test("Node's TLS server sees the same name and protocols in every recorded hello", async (t) => {
  const see = await nodeServer(t)
  for (const { file, bytes } of hellos) {
    const parsed = parseClientHello(bytes)
    assert.ok('found' in parsed)
    const { name, alpn } = await see(bytes)
    assert.equal(name?.toLowerCase() ?? null, parsed.found.name, file)
    assert.deepEqual(alpn, parsed.found.alpn, file)
  }
})

/** What Node's client says first, asked for a name and protocols. */
function produced(servername: string, alpn: string[]): Promise<Buffer> {
  return new Promise((resolve) => {
    const wire = new Duplex({
      read() {},
      write(chunk: Buffer) {
        resolve(chunk)
        setImmediate(() => client.destroy())
      },
    })
    const client = tls.connect({ socket: wire, ...(servername === '' ? {} : { servername }), ALPNProtocols: alpn })
    client.on('error', () => {})
  })
}

const label = fc.string({ unit: fc.constantFrom(...'abzAZ09-_'), minLength: 1, maxLength: 20 })
const host = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join('.'))

test('whatever name and protocols a client is told to send, we and Node read them', async (t) => {
  const see = await nodeServer(t)
  await fc.assert(
    fc.asyncProperty(
      fc.option(
        host.filter((name) => net.isIP(name) === 0),
        { nil: '' },
      ),
      fc.array(fc.string({ unit: fc.constantFrom(...'h2/1.-acme'), minLength: 1, maxLength: 255 }), { maxLength: 4 }),
      async (name, alpn) => {
        const bytes = await produced(name, alpn)
        const parsed = lawful(parseClientHello, bytes, CLIENT_HELLO_BYTES_MAX, cuts(bytes.length, 50))
        assert.ok('found' in parsed)
        assert.equal(parsed.found.name, name === '' ? null : name.toLowerCase())
        assert.deepEqual(parsed.found.alpn, alpn)
        const seen = await see(bytes)
        assert.deepEqual([seen.name ?? '', seen.alpn], [name, alpn])
      },
    ),
    { numRuns: 60 },
  )
})
