import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import tls, { type SecureVersion } from 'node:tls'
import { pathToFileURL } from 'node:url'
import type { SupervisorOptions } from '../../src/index.js'
import { command } from '../support/command.js'
import { fixture, root, scratch } from '../support/paths.js'
import { certificate, program } from '../support/programs.js'
import { type Supervised, supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

const VERSIONS: SecureVersion[] = ['TLSv1.2', 'TLSv1.3']

/** A TLS server that tells every client whom it met, and whether its session went on. `more` may change it. */
const app = (options = '', more = '') => `
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import tls from 'node:tls'
const { HANDOVER_GENERATION, HANDOVER_WORKER, KEY, CERT } = process.env
const pair = { key: readFileSync(KEY), cert: readFileSync(CERT) }
const own = Buffer.alloc(48, HANDOVER_WORKER)
const met = (socket) => socket.on('error', () => {}).end(JSON.stringify({
  generation: Number(HANDOVER_GENERATION), worker: HANDOVER_WORKER, reused: socket.isSessionReused(),
  authorized: socket.authorized,
  key: createHash('sha256').update(server.getTicketKeys()).digest('hex'), owns: server.getTicketKeys().equals(own),
}))
const server = tls.createServer({ ...pair, ${options} }, met)
${more}
server.listen(0, '127.0.0.1')
`

interface Met {
  generation: number
  worker: string
  reused: boolean
  authorized: boolean
  /** A digest of the server's key. */
  key: string
  owns: boolean
  /** To go on with. */
  session: Buffer
}

/** Connects, and hears whom it met. */
async function meet(port: number, options: tls.ConnectionOptions = {}): Promise<Met> {
  const client = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
  let session: Buffer | undefined
  client.on('session', (latest) => {
    session = latest
  })
  await once(client, 'secureConnect')
  session ??= client.getSession() // TLS 1.2, where the session that goes on is the same
  let text = ''
  for await (const chunk of client.setEncoding('utf8')) text += chunk
  assert.ok(session)
  return { ...(JSON.parse(text) as Omit<Met, 'session'>), session }
}

interface Tls extends Supervised {
  /** The server's own key and certificate, as a client may show them. */
  pair: { key: Buffer; cert: Buffer }
  /** Meets a worker of this number. */
  meet(worker: string, options?: tls.ConnectionOptions): Promise<Met>
}

/** Supervises a program of TLS, whose workers a test chooses itself. */
async function superviseTls(t: TestContext, source: string, options: Partial<SupervisorOptions> = {}): Promise<Tls> {
  const { keyFile, certFile } = certificate(t)
  let chosen = '1'
  const supervised = await supervise(t, {
    script: program(t, source),
    workers: 2,
    policy: () => chosen,
    env: { ...process.env, KEY: keyFile, CERT: certFile },
    ...options,
  })
  return {
    ...supervised,
    pair: { key: readFileSync(keyFile), cert: readFileSync(certFile) },
    async meet(worker, how) {
      chosen = worker
      const met = await meet(supervised.port, how)
      assert.equal(met.worker, worker)
      return met
    },
  }
}

const only = (version: SecureVersion): tls.ConnectionOptions => ({ minVersion: version, maxVersion: version })

for (const threads of [false, true]) {
  for (const version of VERSIONS) {
    test(`a session goes on with another worker, ${version}, ${threads ? 'threads' : 'processes'}`, async (t) => {
      const supervised = await superviseTls(t, app(), { threads })
      const first = await supervised.meet('1', only(version))
      assert.equal(first.reused, false)
      const second = await supervised.meet('2', { ...only(version), session: first.session })
      assert.equal(second.reused, true)
      assert.equal((await supervised.meet('1', { ...only(version), session: second.session })).reused, true)
    })
  }
}

for (const version of VERSIONS) {
  test(`a session goes on after a rotation of keys, and ends after two, without an error, ${version}`, async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] })
    const supervised = await superviseTls(t, app(), { ticketRotation: 60_000 })
    let known = ''
    const rotate = async (): Promise<void> => {
      t.mock.timers.tick(60_000)
      const before = known
      for (const worker of ['1', '2']) {
        await until(`worker ${worker} has new keys`, async () => {
          known = (await supervised.meet(worker)).key
          return known !== before
        })
      }
    }
    const first = await supervised.meet('1', only(version))
    known = first.key
    await rotate()
    const second = await supervised.meet('2', { ...only(version), session: first.session })
    assert.equal(second.reused, true)
    assert.notEqual(second.key, first.key)
    await rotate()
    const gone = await supervised.meet('1', { ...only(version), session: first.session })
    assert.equal(gone.reused, false)
    assert.equal((await supervised.meet('2', { ...only(version), session: gone.session })).reused, true)
    if (version === 'TLSv1.3') {
      // The one that went on over a rotation was given a ticket of the new key then.
      assert.equal((await supervised.meet('1', { ...only(version), session: second.session })).reused, true)
    }
  })

  test(`a session goes on after a reload, of a program in another folder too, ${version}`, async (t) => {
    const supervised = await superviseTls(t, app())
    const { session } = await supervised.meet('1', only(version))
    await supervised.supervisor.reload({ script: program(t, app(), 'another.mjs'), args: ['--new'] })
    const second = await supervised.meet('2', { ...only(version), session })
    assert.deepEqual([second.generation, second.reused], [2, true])
  })

  test(`a session goes on with whoever takes the place of a dead worker, ${version}`, async (t) => {
    const supervised = await superviseTls(t, app())
    const { session } = await supervised.meet('1', only(version))
    const before = supervised.pids()
    for (const pid of before) process.kill(pid, 'SIGKILL')
    await until('both are replaced', () => {
      const { workers } = supervised.supervisor.status()
      return workers.length === 2 && workers.every(({ pid, ready }) => ready && !before.includes(pid))
    })
    assert.equal((await supervised.meet('2', { ...only(version), session })).reused, true)
  })

  test(`openssl's client has its session go on, ${version}`, async (t) => {
    const { port } = await superviseTls(t, app(), { policy: 'round-robin' })
    const file = join(scratch(t), 'session')
    const flag = version === 'TLSv1.2' ? '-tls1_2' : '-tls1_3'
    const run = async (...args: string[]): Promise<string> => {
      const client = command(t, 'openssl', ['s_client', '-connect', `127.0.0.1:${port}`, flag, '-ign_eof', ...args])
      await client.ended
      return client.stdout()
    }
    assert.match(await run('-sess_out', file), /^New, TLSv1/m)
    const answers = [await run('-sess_in', file), await run('-sess_in', file)]
    for (const answer of answers) assert.match(answer, /^Reused, TLSv1/m)
    const workers = answers.map((answer) => /"worker":"(\d)"/.exec(answer)?.[1])
    assert.deepEqual(workers.sort(), ['1', '2'])
    if (version === 'TLSv1.2') {
      const again = await run('-reconnect')
      assert.equal([...again.matchAll(/^Reused, TLSv1.2/gm)].length, 5, again)
    }
  })
}

const kinds: [what: string, options: string, more: string][] = [
  ['SNICallback', `SNICallback: (name, done) => done(null, tls.createSecureContext(pair))`, ''],
  ['addContext', '', `server.addContext('localhost', pair)`],
  ['a certificate that is renewed before', '', `server.setSecureContext(pair)`],
  [
    'a certificate that is renewed at each connection',
    '',
    `server.prependListener('connection', () => server.setSecureContext(pair))`,
  ],
  ['client certificates', 'requestCert: true, rejectUnauthorized: false, ca: [pair.cert]', ''],
]

for (const [what, options, more] of kinds) {
  test(`a session goes on with another worker where there is ${what}`, async (t) => {
    const supervised = await superviseTls(t, app(options, more))
    for (const version of VERSIONS) {
      const how = { ...only(version), servername: 'localhost' }
      const { session, reused } = await supervised.meet('1', how)
      assert.equal(reused, false)
      assert.equal((await supervised.meet('2', { ...how, session })).reused, true)
    }
  })
}

test('a session goes on where the program calls `serve`', async (t) => {
  const library = JSON.stringify(pathToFileURL(join(root, 'dist/src/index.js')).href)
  const source = `import { serve } from ${library}\n${app()}`
    .replace('server.listen(0, ', 'serve(server, { port: 0, host: ')
    .replace(/\)\n$/, ' })\n')
  const supervised = await superviseTls(t, source, { preload: false })
  const { session } = await supervised.meet('1')
  assert.equal((await supervised.meet('2', { session })).reused, true)
})

test('sessions of https and of http2 go on', async (t) => {
  for (const name of ['https-pid.mjs', 'http2-pid.mjs']) {
    const supervised = await superviseTls(t, '', { script: fixture(name), policy: 'round-robin' })
    const seen = new Set<string>()
    const ask = async (session?: Buffer): Promise<{ reused: boolean; session: Buffer }> => {
      const socket = tls.connect({
        port: supervised.port,
        rejectUnauthorized: false,
        ALPNProtocols: ['http/1.1'],
        ...(session && { session }),
      })
      let latest: Buffer | undefined
      socket.on('session', (given) => {
        latest = given
      })
      await once(socket, 'secureConnect')
      socket.setEncoding('utf8').write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
      const reused = socket.isSessionReused()
      let text = ''
      for await (const chunk of socket) text += chunk
      seen.add(/\r\n\r\n(?:\w+\r\n)?(\d+) /.exec(text)?.[1] as string)
      return { reused, session: latest as Buffer }
    }
    const { session } = await ask()
    while (seen.size < 2) assert.equal((await ask(session)).reused, true)
  }
})

const alone: [what: string, options: string, more: string][] = [
  ['has the option ticketKeys', 'ticketKeys: own', ''],
  ['calls setTicketKeys before it listens', '', 'server.setTicketKeys(own)'],
  [
    'calls setTicketKeys when it listens',
    '',
    `server.on('listening', () => setImmediate(() => server.setTicketKeys(own)))`,
  ],
  [
    'calls setTicketKeys at each connection',
    '',
    `server.prependListener('connection', () => server.setTicketKeys(own))`,
  ],
  [
    'gives keys to setSecureContext',
    '',
    `server.prependListener('connection', () => server.setSecureContext({ ...pair, ticketKeys: own }))`,
  ],
]

for (const [what, options, more] of alone) {
  test(`a program that ${what} has its own keys, across a rotation too`, async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] })
    const supervised = await superviseTls(t, app(options, more), { ticketRotation: 60_000 })
    for (let round = 0; round < 2; round++) {
      for (const version of VERSIONS) {
        const { session, owns } = await supervised.meet('1', only(version))
        assert.equal(owns, true)
        assert.equal((await supervised.meet('1', { ...only(version), session })).reused, true)
        assert.equal((await supervised.meet('2', { ...only(version), session })).reused, false) // keys by worker, here
      }
      t.mock.timers.tick(60_000)
    }
  })
}

test('a server that wants no tickets has none, and one that is to be left alone has its own', async (t) => {
  const none = await superviseTls(t, app('secureOptions: 0x4000'))
  const first = await none.meet('1', only('TLSv1.2'))
  assert.equal((await none.meet('2', { ...only('TLSv1.2'), session: first.session })).reused, false)
  const alone = await superviseTls(t, app(), { ticketRotation: false })
  for (const version of VERSIONS) {
    const { session, key } = await alone.meet('1', only(version))
    assert.equal((await alone.meet('1', { ...only(version), session })).reused, true)
    const other = await alone.meet('2', { ...only(version), session })
    assert.equal(other.reused, false)
    assert.notEqual(other.key, key)
  }
})

test('a ticket of one server leads to no other server of the same program, least to one that asks for certificates', async (t) => {
  const more = `
const asks = tls.createServer({ ...pair, requestCert: true, ca: pair.cert }, met).listen(0, '127.0.0.2')
const other = tls.createServer(pair, met).listen(0, '127.0.0.3')`
  const supervised = await superviseTls(t, app('', more))
  await until('it listens three times', () => supervised.supervisor.status().ports.length === 3)
  const places = supervised.supervisor.status().ports.map((place) => place as { address: string; port: number })
  const placeOf = (address: string) => {
    const { port } = places.find((place) => place.address === address) as { port: number }
    return { host: address, port }
  }
  for (const version of VERSIONS) {
    const { session } = await meet(0, { ...only(version), ...placeOf('127.0.0.1') })
    assert.equal((await meet(0, { ...only(version), ...placeOf('127.0.0.1'), session })).reused, true)
    assert.equal((await meet(0, { ...only(version), ...placeOf('127.0.0.3'), session })).reused, false)
    await assert.rejects(meet(0, { ...only(version), ...placeOf('127.0.0.2'), session }))
  }
})

test('a ticket ends when the server asks its clients for other certificates', async (t) => {
  const asks = (ca: string) => app(`requestCert: true, rejectUnauthorized: false, ca: ${ca}`)
  const supervised = await superviseTls(t, asks('pair.cert'))
  const { pair } = supervised
  for (const version of VERSIONS) {
    const { session, authorized } = await supervised.meet('1', { ...only(version), ...pair })
    assert.equal(authorized, true)
    assert.equal((await supervised.meet('2', { ...only(version), session })).authorized, true)
  }
  const { session } = await supervised.meet('1', pair)
  const { cert } = certificate(t)
  await supervised.supervisor.reload({ script: program(t, asks(JSON.stringify(cert.toString())), 'stricter.mjs') })
  const met = await supervised.meet('1', { ...pair, session })
  assert.deepEqual([met.generation, met.reused, met.authorized], [2, false, false])
})
