// Records what real clients of TLS say first, into test/fixtures/client-hellos/: what is on this machine of openssl,
// gnutls-cli, curl, chromium and Node itself, against a listener on loopback that speaks no TLS. Run it by hand; the
// recordings are kept, as no two machines would make the same. More versions of Node: --node=/path/to/node, repeated.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import { parseArgs } from 'node:util'
import { run } from './run.mjs'

const { values } = parseArgs({ options: { node: { type: 'string', multiple: true, default: [process.execPath] } } })
const folder = 'test/fixtures/client-hellos'
const scratch = mkdtempSync(join(tmpdir(), 'client-hellos-'))
const CLIENT_MAX = 20_000
const NAME = 'www.example.com'
const H2 = ['h2', 'http/1.1']

/** An alert: fatal, handshake_failure. The client gives up. */
const ALERT = Buffer.from('15030100020228', 'hex')

/** Whether the records hold a whole handshake message. */
function isWhole(bytes) {
  let message = Buffer.alloc(0)
  for (let at = 0; at + 5 <= bytes.length; at += 5 + bytes.readUInt16BE(at + 3)) {
    message = Buffer.concat([message, bytes.subarray(at + 5, at + 5 + bytes.readUInt16BE(at + 3))])
  }
  return message.length >= 4 && message.length >= 4 + message.readUIntBE(1, 3)
}

/** Runs a client against a listener, and gives what it says first; null if it says nothing, or is not here. */
async function hello({ command, input }) {
  const listener = net.createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const said = new Promise((resolve) => {
    listener.on('connection', (socket) => {
      let bytes = Buffer.alloc(0)
      socket.on('error', () => {})
      socket.on('data', (data) => {
        bytes = Buffer.concat([bytes, data])
        if (!isWhole(bytes)) return
        resolve(bytes)
        socket.end(ALERT)
      })
    })
  })
  const [file, ...args] = command(listener.address().port)
  const child = spawn(file, args, { stdio: [input === undefined ? 'ignore' : 'pipe', 'ignore', 'ignore'] })
  const ended = new Promise((resolve) => child.on('error', resolve).on('close', resolve))
  child.stdin?.on('error', () => {}).end(input)
  const timer = setTimeout(() => child.kill('SIGKILL'), CLIENT_MAX)
  const bytes = await Promise.race([said, ended.then(() => null)])
  await ended
  clearTimeout(timer)
  listener.close()
  return bytes
}

const openssl = (...args) => ({
  tool: 'openssl',
  command: (port) => ['openssl', 's_client', '-connect', `127.0.0.1:${port}`, ...args],
})
const gnutls = (...args) => ({
  tool: 'gnutls',
  command: (port) => ['gnutls-cli', '--insecure', '--no-ca-verification', '-p', `${port}`, ...args, '127.0.0.1'],
})
const curl = (...args) => ({
  tool: 'curl',
  command: (port) => ['curl', '-sk', '--resolve', `${NAME}:${port}:127.0.0.1`, ...args, `https://${NAME}:${port}/`],
})
const chromium = (host) => ({
  tool: 'chromium',
  command: (port) => [
    ...['chromium', '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
    ...['--disable-background-networking', '--disable-component-update', '--disable-sync', '--dump-dom'],
    ...['--host-resolver-rules=MAP * 127.0.0.1', `--user-data-dir=${join(scratch, `chromium-${host}`)}`],
    `https://${host}:${port}/`,
  ],
})
/** Lines of a module that knows `port`. */
const node = (binary, lines) => ({
  tool: 'node',
  command: (port) => [binary, '--input-type=module', '-e', `const port = ${port}\n${lines}`],
  versionOf: binary,
})

/** A session with a ticket, as a real server gives it, for clients that come again. */
async function session(version) {
  const [key, cert] = [join(scratch, 'key.pem'), join(scratch, 'cert.pem')]
  spawnSync('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...['-keyout', key, '-out', cert, '-subj', `/CN=${NAME}`],
  ])
  const { readFileSync } = await import('node:fs')
  const server = tls.createServer({ key: readFileSync(key), cert: readFileSync(cert), maxVersion: version })
  server.on('secureConnection', (socket) => socket.on('error', () => {}).end('.'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  const file = join(scratch, `${version}.session`)
  const child = spawn(
    'openssl',
    [...['s_client', '-connect', `127.0.0.1:${port}`, '-servername', NAME, '-sess_out', file, '-ign_eof']],
    { stdio: ['ignore', 'ignore', 'ignore'] },
  )
  await once(child, 'close')
  server.close()
  return file
}

const sessions = { 'TLSv1.2': await session('TLSv1.2'), 'TLSv1.3': await session('TLSv1.3') }

/** What is sent by each: name, protocols, highest version; `ech` where the client may pretend to have it. */
const cases = {
  'openssl-name': { ...openssl('-servername', NAME), name: NAME },
  'openssl-capitals': { ...openssl('-servername', 'WWW.Example.COM'), name: NAME },
  'openssl-none': { ...openssl('-noservername'), name: null },
  'openssl-alpn': { ...openssl('-servername', NAME, '-alpn', 'h2,http/1.1'), name: NAME, alpn: H2 },
  'openssl-acme': { ...openssl('-servername', NAME, '-alpn', 'acme-tls/1'), name: NAME, alpn: ['acme-tls/1'] },
  'openssl-tls1.3': { ...openssl('-servername', NAME, '-tls1_3'), name: NAME },
  'openssl-tls1.2': { ...openssl('-servername', NAME, '-tls1_2'), name: NAME, version: 'TLSv1.2' },
  'openssl-tls1.1': {
    ...openssl('-servername', NAME, '-tls1_1', '-cipher', 'DEFAULT:@SECLEVEL=0'),
    ...{ name: NAME, version: 'TLSv1.1' },
  },
  'openssl-tls1': {
    ...openssl('-servername', NAME, '-tls1', '-cipher', 'DEFAULT:@SECLEVEL=0'),
    ...{ name: NAME, version: 'TLSv1' },
  },
  'openssl-ciphers': { ...openssl('-servername', NAME, '-cipher', 'ALL:COMPLEMENTOFALL:@SECLEVEL=0'), name: NAME },
  'openssl-ticket-tls1.2': {
    ...openssl('-servername', NAME, '-tls1_2', '-sess_in', sessions['TLSv1.2']),
    ...{ name: NAME, version: 'TLSv1.2' },
  },
  'openssl-ticket-tls1.3': { ...openssl('-servername', NAME, '-sess_in', sessions['TLSv1.3']), name: NAME },
  'openssl-fragments': {
    ...openssl('-servername', NAME, '-max_send_frag', '512', '-split_send_frag', '512', '-alpn', long()),
    name: NAME,
    alpn: long().split(','),
  },
  'gnutls-name': { ...gnutls('--sni-hostname', NAME), name: NAME },
  'gnutls-none': { ...gnutls('--disable-sni'), name: null },
  'gnutls-alpn': { ...gnutls('--sni-hostname', NAME, '--alpn', 'h2', '--alpn', 'http/1.1'), name: NAME, alpn: H2 },
  'gnutls-tls1.2': {
    ...gnutls('--sni-hostname', NAME, '--priority', 'NORMAL:-VERS-ALL:+VERS-TLS1.2'),
    ...{ name: NAME, version: 'TLSv1.2' },
  },
  'gnutls-no-extensions': {
    ...gnutls('--disable-extensions', '--priority', 'NORMAL:-VERS-ALL:+VERS-TLS1.0:%NO_EXTENSIONS'),
    ...{ name: null, version: 'TLSv1' },
  },
  'curl-default': { ...curl(), name: NAME, alpn: H2 },
  'curl-http1': { ...curl('--http1.1'), name: NAME, alpn: ['http/1.1'] },
  'curl-no-alpn': { ...curl('--no-alpn'), name: NAME },
  'curl-tls1.2': { ...curl('--tls-max', '1.2'), name: NAME, alpn: H2, version: 'TLSv1.2' },
  'chromium-name': { ...chromium(NAME), name: NAME, alpn: H2, ech: true },
  'chromium-address': { ...chromium('127.0.0.1'), name: null, alpn: H2, ech: true },
}
for (const binary of values.node) {
  const major = spawnSync(binary, ['-p', 'process.versions.node.split(".")[0]'], { encoding: 'utf8' }).stdout.trim()
  const options = `{ port, host: '127.0.0.1', servername: '${NAME}', rejectUnauthorized: false`
  const quiet = `.on('error', () => {})`
  Object.assign(cases, {
    [`node${major}-tls`]: {
      ...node(binary, `import tls from 'node:tls'; tls.connect(${options} })${quiet}`),
      name: NAME,
    },
    [`node${major}-none`]: {
      ...node(binary, `import tls from 'node:tls'; tls.connect({ port, host: '127.0.0.1' })${quiet}`),
      name: null,
    },
    [`node${major}-https`]: {
      ...node(binary, `import https from 'node:https'; https.get(${options} })${quiet}`),
      name: NAME,
    },
    [`node${major}-http2`]: {
      ...node(
        binary,
        `import http2 from 'node:http2'; http2.connect('https://127.0.0.1:' + port, ${options} })${quiet}`,
      ),
      ...{ name: NAME, alpn: ['h2'] },
    },
  })
}

/** Protocols enough that the hello does not fit one record of 512 bytes. */
function long() {
  return Array.from({ length: 40 }, (_, i) => `protocol-number-${i}`).join(',')
}

function versionOf({ tool, versionOf: binary }) {
  if (binary !== undefined) return spawnSync(binary, ['--version'], { encoding: 'utf8' }).stdout.trim()
  const [file, argument] = { openssl: ['openssl', 'version'], gnutls: ['gnutls-cli', '--version'] }[tool] ?? [
    tool,
    '--version',
  ]
  return (spawnSync(file, [argument], { encoding: 'utf8' }).stdout ?? '').split(/[\s(]/).slice(0, 2).join(' ')
}

mkdirSync(folder, { recursive: true })
const index = []
for (const [file, one] of Object.entries(cases)) {
  const bytes = await hello(one)
  console.log(`${file}: ${bytes === null ? 'nothing' : `${bytes.length} bytes`}`)
  if (bytes === null) continue
  const { name, alpn = [], version = 'TLSv1.3', ech = false, tool } = one
  writeFileSync(join(folder, `${file}.hex`), `${bytes.toString('hex').replace(/.{1,96}/g, '$&\n')}`)
  index.push({ file: `${file}.hex`, tool, toolVersion: versionOf(one), name, alpn, version, ech })
}
writeFileSync(join(folder, 'index.json'), `${JSON.stringify(index, null, 2)}\n`)
run('npx', ['biome', 'format', '--write', join(folder, 'index.json')])
rmSync(scratch, { recursive: true, force: true })
