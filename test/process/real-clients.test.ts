/** Clients that others have written reach the right certificate on one port, by the server name that they ask for. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http2 from 'node:http2'
import https from 'node:https'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { tlsServerName } from '../../src/index.js'
import { type Authority, authority, type Issued } from '../support/authority.js'
import { noLeak } from '../support/descriptors.js'
import { fixture, scratch } from '../support/paths.js'
import { type Supervised, supervise } from '../support/supervised.js'
import { run, tool, wrk } from '../support/tools.js'
import { until } from '../support/wait.js'

const curl = tool('curl')
const openssl = tool('openssl')
const gnutls = tool('gnutls-cli', 'gnutls-bin')
const wrkTool = tool('wrk')
const chromium = tool('chromium')

const SHOP = 'shop.example'
const API = 'v1.api.example'
const UNKNOWN = 'other.example'

interface Met {
  worker: string
  group: string
  version: string
  name: string
  reused: boolean
}

interface Shared extends Supervised {
  ca: Authority
  certificates: { shop: Issued; api: Issued }
  /** Connections that the workers of a group have taken. */
  total(group: string): number
  /** Waits until they are so many, of either. */
  taken(shop: number, api: number): Promise<void>
}

/** Two groups with certificates of their own on one port. */
async function shared(t: TestContext): Promise<Shared> {
  noLeak(t)
  const ca = authority(t)
  const certificates = { shop: ca.issue(SHOP, 'localhost'), api: ca.issue('*.api.example') }
  const group = ({ certFile, keyFile }: Issued) => ({ workers: 2, env: { TLS_CERT: certFile, TLS_KEY: keyFile } })
  const app = await supervise(
    t,
    {
      script: fixture('secure-group.mjs'),
      groups: { shop: group(certificates.shop), api: group(certificates.api) },
      handshake: {
        inspect: tlsServerName({ names: { [SHOP]: 'shop', localhost: 'shop', '*.api.example': 'api' } }),
      },
    },
    4,
  )
  const total = (of: string): number =>
    app.supervisor.status().workers.reduce((sum, worker) => sum + (worker.group === of ? worker.total : 0), 0)
  const taken = (shop: number, api: number): Promise<void> =>
    until(`${shop} and ${api} are taken`, () => total('shop') === shop && total('api') === api)
  return { ...app, ca, certificates, total, taken }
}

const met = (text: string): Met => JSON.parse(/\{.*\}/.exec(text)?.[0] ?? text) as Met
const groupOf = { [SHOP]: 'shop', [API]: 'api' }
const commonNameOf = { [SHOP]: SHOP, [API]: '*.api.example' }
const both = [SHOP, API] as const

const REQUEST = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'

test('curl reaches the certificate of each name, by HTTP/1 and 2; an unknown name is told so', curl, async (t) => {
  const { port, ca, taken } = await shared(t)
  const ask = (name: string, ...args: string[]) => {
    const where = ['--resolve', `${name}:${port}:127.0.0.1`, '--cacert', ca.certFile, `https://${name}:${port}/`]
    return run(t, curl, ['-sS', '--noproxy', '*', ...args, ...where])
  }
  for (const name of both) {
    for (const [option, version] of [
      ['--http1.1', '1.1'],
      ['--http2', '2.0'],
    ] as const) {
      const { code, out, said } = await ask(name, option)
      assert.equal(code, 0, said)
      const { group, version: spoken, name: asked } = met(out)
      assert.deepEqual([group, spoken, asked], [groupOf[name], version, name])
    }
  }
  await taken(2, 2)
  const { code, said } = await ask(UNKNOWN)
  assert.equal(code, 35)
  assert.match(said, /unrecognized name/)
  await taken(2, 2)
})

test(
  'openssl is shown the certificate of the name; without one, or with another, it is told so',
  openssl,
  async (t) => {
    const { port, ca, supervisor } = await shared(t)
    const connect = ['s_client', '-connect', `127.0.0.1:${port}`, '-CAfile', ca.certFile, '-ign_eof']
    for (const name of both) {
      for (const version of ['-tls1_2', '-tls1_3']) {
        const check = ['-servername', name, '-verify_return_error', '-verify_hostname', name]
        const { code, out, said } = await run(t, openssl, [...connect, ...check, version], { input: REQUEST })
        assert.equal(code, 0, said)
        assert.match(out, new RegExp(`^subject=CN = ${commonNameOf[name].replaceAll(/[.*]/g, '\\$&')}$`, 'm'))
        assert.match(out, /^Verification: OK$/m)
        assert.equal(met(out.slice(out.indexOf('HTTP/1.1 200'))).group, groupOf[name])
      }
    }
    for (const name of [['-noservername'], ['-servername', UNKNOWN]]) {
      const { code, said } = await run(t, openssl, [...connect, ...name], { input: '' })
      assert.equal(code, 1)
      assert.match(said, /unrecognized name.* alert number 112$/m)
      assert.doesNotMatch(said, /^subject=/m)
    }
    assert.deepEqual(supervisor.status().setbacks.refused, 2)
  },
)

for (const version of ['-tls1_2', '-tls1_3']) {
  test(
    `a session of openssl goes on with another worker of the group, and of no other, ${version.slice(1)}`,
    openssl,
    async (t) => {
      const { port, ca } = await shared(t)
      const file = join(scratch(t), 'session')
      const ask = async (name: string, ...args: string[]): Promise<{ met: Met; how: string }> => {
        const where = [
          's_client',
          '-connect',
          `127.0.0.1:${port}`,
          '-CAfile',
          ca.certFile,
          '-servername',
          name,
          version,
        ]
        const { code, out, said } = await run(t, openssl, [...where, '-ign_eof', ...args], { input: REQUEST })
        assert.equal(code, 0, said)
        const how = /^(New|Reused), TLSv1/m.exec(out)?.[1] ?? out
        return { met: met(out.slice(out.indexOf('HTTP/1.1 200'))), how }
      }
      for (const name of both) {
        const first = await ask(name, '-sess_out', file)
        assert.deepEqual([first.how, first.met.reused], ['New', false])
        const workers = new Set([first.met.worker])
        for (let turn = 0; workers.size < 2; turn++) {
          const next = await ask(name, '-sess_in', file)
          assert.deepEqual([next.how, next.met.reused, next.met.group], ['Reused', true, groupOf[name]])
          workers.add(next.met.worker)
          assert.ok(turn < 10, 'the group has two workers')
        }
        const other = await ask(name === SHOP ? API : SHOP, '-sess_in', file)
        assert.deepEqual([other.how, other.met.reused], ['New', false], 'and with no other group')
      }
    },
  )
}

test('gnutls-cli is shown the certificate of the name; another name is told so', gnutls, async (t) => {
  const { port, ca } = await shared(t)
  const ask = (name: string) => {
    const names = ['--sni-hostname', name, '--verify-hostname', name, '--x509cafile', ca.certFile]
    return run(t, gnutls, [...names, '-p', String(port), '127.0.0.1'], { input: REQUEST })
  }
  for (const name of both) {
    const { code, out, said } = await ask(name)
    assert.equal(code, 0, said)
    assert.match(out, new RegExp(`subject .CN=${commonNameOf[name].replaceAll(/[.*]/g, '\\$&')}'`))
    assert.match(out, /The certificate is trusted/)
    assert.equal(met(out.slice(out.indexOf('HTTP/1.1 200'))).group, groupOf[name])
  }
  const { code, said } = await ask(UNKNOWN)
  assert.equal(code, 1)
  assert.match(said, /server name sent was not recognized/)
})

test("Node's https and http2 reach the certificate of each name", async (t) => {
  const { port, ca } = await shared(t)
  for (const name of both) {
    const over1 = await new Promise<string>((resolve, reject) => {
      const options = { host: '127.0.0.1', port, servername: name, ca: ca.cert, agent: false }
      const request = https.get(options, async (response) => {
        let text = ''
        for await (const piece of response) text += piece
        resolve(text)
      })
      request.on('error', reject)
    })
    assert.deepEqual([met(over1).group, met(over1).name, met(over1).version], [groupOf[name], name, '1.1'])
    const session = http2.connect(`https://127.0.0.1:${port}`, { servername: name, ca: ca.cert })
    t.after(() => session.destroy())
    let over2 = ''
    for await (const piece of session.request({ ':path': '/' })) over2 += piece
    session.close()
    await once(session, 'close')
    assert.deepEqual([met(over2).group, met(over2).name, met(over2).version], [groupOf[name], name, '2.0'])
  }
  const refused = https.get({ host: '127.0.0.1', port, servername: UNKNOWN, ca: ca.cert, agent: false })
  const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException]
  assert.match(error.message, /unrecognized name/)
})

test('wrk’s connections are all of the group whose name it asks for', wrkTool, async (t) => {
  const { port, total } = await shared(t)
  assert.ok((await wrk(t, wrkTool, `https://localhost:${port}/`)) > 0)
  assert.ok(total('shop') >= 10)
  assert.equal(total('api'), 0)
})

/** What Chromium makes of a page, if its certificate has this key. It knows no name but those of the test. */
async function page(t: TestContext, port: number, name: string, spki: string): Promise<string> {
  const quiet = ['background-networking', 'component-update', 'sync', 'gpu', 'quic', 'dev-shm-usage']
  const { out } = await run(t, chromium, [
    ...['--headless', '--no-sandbox', '--no-first-run', ...quiet.map((what) => `--disable-${what}`)],
    `--user-data-dir=${scratch(t)}`,
    `--host-resolver-rules=${both.map((one) => `MAP ${one} 127.0.0.1`).join(', ')}, MAP * ~NOTFOUND`,
    `--ignore-certificate-errors-spki-list=${spki}`,
    ...['--dump-dom', `https://${name}:${port}/`],
  ])
  return out
}

test('Chromium has the page of each name, by its own certificate', chromium, async (t) => {
  const { port, certificates, total } = await shared(t)
  const [shop, api] = await Promise.all([
    page(t, port, SHOP, certificates.shop.spki),
    page(t, port, API, certificates.api.spki),
  ])
  assert.deepEqual([met(shop).group, met(shop).name, met(shop).version], ['shop', SHOP, '2.0'])
  assert.deepEqual([met(api).group, met(api).name, met(api).version], ['api', API, '2.0'])
  const before = total('shop')
  assert.doesNotMatch(await page(t, port, SHOP, certificates.api.spki), /"group"/, 'that certificate is not the shop’s')
  assert.ok(total('shop') > before)
})
