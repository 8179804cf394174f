/** Behind proxies that others have written, workers see who their clients are. */
import assert from 'node:assert/strict'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { type Inspect, ListeningPort, proxyProtocol, tlsServerName } from '../../src/index.js'
import { authority } from '../support/authority.js'
import { noLeak } from '../support/descriptors.js'
import { fixture, scratch } from '../support/paths.js'
import { type Supervised, supervise } from '../support/supervised.js'
import { run, start, type Tool, tool } from '../support/tools.js'

const curl = tool('curl')
const haproxy = tool('haproxy')
const nginx = tool('nginx')
const MODULES = ['/usr/lib/nginx/modules', '/usr/share/nginx/modules', '/usr/lib64/nginx/modules']
const stream = MODULES.map((folder) => join(folder, 'ngx_stream_module.so')).find((path) => existsSync(path))
const nginxStream: Tool = stream
  ? nginx
  : { ...tool('nginx with its stream module', 'libnginx-mod-stream'), path: null }

/** A TLV of version 2: the authority, and what was said of TLS. */
const AUTHORITY = 2
const SSL = 0x20

interface Who {
  remote: [address: string, family: string, port: number]
  local: [address: string, port: number]
  fields: [type: number, value: string][] | null
}

function trusting(t: TestContext, next?: Inspect, env: NodeJS.ProcessEnv = {}): Promise<Supervised> {
  const inspect = proxyProtocol({ trusted: ['127.0.0.1'], ...(next && { next }) })
  return supervise(t, { script: fixture('says-who.mjs'), env: { ...process.env, ...env }, handshake: { inspect } })
}

/** What curl is answered, and the port that it came from. */
async function ask(t: TestContext, url: string, ...args: string[]): Promise<{ who: Who; port: number }> {
  const report = ['-w', '\n%{local_port}']
  const { code, out, said } = await run(t, curl, ['-sS', '--noproxy', '*', '--max-time', '20', ...report, ...args, url])
  assert.equal(code, 0, said)
  const [body = '', port] = out.split('\n')
  return { who: JSON.parse(body) as Who, port: Number(port) }
}

interface Front {
  /** What the proxy inherits as 3, 4 … */
  descriptors: number[]
  ports: number[]
}

/** Ports that a proxy is to accept at, opened here so that nobody else can have them. */
function fronts(t: TestContext, count: number): Front {
  const opened = Array.from({ length: count }, () => ListeningPort.open({ host: '127.0.0.1', port: 0 }))
  t.after(() => opened.forEach((port) => void port.close()))
  return {
    descriptors: opened.map(({ fd }) => fd),
    ports: opened.map(({ address }) => (address as { port: number }).port),
  }
}

test('curl’s own header of version 1 is believed', curl, async (t) => {
  noLeak(t)
  const app = await trusting(t)
  const { who, port } = await ask(t, `http://127.0.0.1:${app.port}/`, '--haproxy-protocol')
  assert.deepEqual(who.remote, ['127.0.0.1', 'IPv4', port])
  assert.deepEqual(who.local, ['127.0.0.1', app.port])
  assert.deepEqual(who.fields, [])
})

const behindHaproxy = { skip: curl.skip || haproxy.skip }

/** HAProxy with a port for each of these options of its server. */
function startHaproxy(t: TestContext, to: number, lines: [bind: string, server: string][]): number[] {
  const front = fronts(t, lines.length)
  const config = lines.map(([bind, server], index) =>
    [`listen way${index}`, `bind fd@${index + 3} ${bind}`, `server workers 127.0.0.1:${to} ${server}`].join('\n  '),
  )
  const file = join(scratch(t), 'haproxy.cfg')
  const limits = 'timeout connect 10s\n  timeout client 10s\n  timeout server 10s'
  writeFileSync(file, ['global\n  maxconn 100', `defaults\n  mode tcp\n  ${limits}`, ...config, ''].join('\n'))
  start(t, haproxy, ['-db', '-f', file], { descriptors: front.descriptors })
  return front.ports // a client that comes before it accepts waits
}

test('HAProxy’s headers name the real client, of either version', behindHaproxy, async (t) => {
  noLeak(t)
  const app = await trusting(t)
  const ports = startHaproxy(t, app.port, [
    ['', 'send-proxy'],
    ['', 'send-proxy-v2'],
    ['', 'send-proxy-v2 proxy-v2-options crc32c,unique-id'],
  ])
  for (const [index, front] of ports.entries()) {
    for (const address of ['127.0.0.1', '127.0.0.77']) {
      const { who, port } = await ask(t, `http://127.0.0.1:${front}/`, '--interface', address)
      assert.deepEqual(who.remote, [address, 'IPv4', port])
      assert.deepEqual(who.local, ['127.0.0.1', front])
      if (index < 2) assert.deepEqual(who.fields, [])
      else
        assert.ok(
          who.fields?.some(([type]) => type === 3),
          'with a checksum, which held',
        )
    }
  }
})

test('what HAProxy knows of a client’s TLS comes along: the name, the version', behindHaproxy, async (t) => {
  noLeak(t)
  const ca = authority(t)
  const { bothFile } = ca.issue('shop.example')
  const app = await trusting(t)
  const [front] = startHaproxy(t, app.port, [
    [`ssl crt ${bothFile}`, 'send-proxy-v2-ssl proxy-v2-options ssl,authority'],
  ])
  const resolve = ['--resolve', `shop.example:${front}:127.0.0.1`, '--cacert', ca.certFile, '--tlsv1.3']
  const { who, port } = await ask(t, `https://shop.example:${front}/`, ...resolve)
  assert.deepEqual(who.remote, ['127.0.0.1', 'IPv4', port])
  const fields = new Map(who.fields)
  assert.equal(fields.get(AUTHORITY), 'shop.example')
  assert.match(fields.get(SSL) ?? '', /TLSv1\.3/)
})

test('behind the header the server name is looked at, and TLS is the worker’s', behindHaproxy, async (t) => {
  noLeak(t)
  const ca = authority(t)
  const { certFile, keyFile } = ca.issue('shop.example')
  const next = tlsServerName({ names: { 'shop.example': {} } })
  const app = await trusting(t, next, { TLS_CERT: certFile, TLS_KEY: keyFile })
  for (const front of startHaproxy(t, app.port, [
    ['', 'send-proxy'],
    ['', 'send-proxy-v2'],
  ])) {
    const resolve = ['--resolve', `shop.example:${front}:127.0.0.1`, '--cacert', ca.certFile]
    const { who, port } = await ask(t, `https://shop.example:${front}/`, ...resolve, '--interface', '127.0.0.9')
    assert.deepEqual(who.remote, ['127.0.0.9', 'IPv4', port])
  }
})

test('nginx’s header names the real client', { skip: curl.skip || nginxStream.skip }, async (t) => {
  noLeak(t)
  const app = await trusting(t)
  const { descriptors, ports } = fronts(t, 1)
  const folder = scratch(t)
  const file = join(folder, 'nginx.conf')
  writeFileSync(
    file,
    `load_module ${stream};
    daemon off; worker_processes 1; error_log stderr; pid ${join(folder, 'pid')};
    events {}
    stream { server { listen 127.0.0.1:${ports[0]}; proxy_pass 127.0.0.1:${app.port}; proxy_protocol on; } }\n`,
  )
  // NGINX says which of its listening sockets it has inherited.
  const proxy = start(t, nginxStream, ['-p', folder, '-e', 'stderr', '-c', file], {
    descriptors,
    env: { ...process.env, NGINX: '3;' },
  })
  t.after(async () => {
    proxy.child.kill('SIGTERM') // or it leaves its own worker behind
    await proxy.ended
  })
  const { who, port } = await ask(t, `http://127.0.0.1:${ports[0]}/`, '--interface', '127.0.0.33')
  assert.deepEqual(who.remote, ['127.0.0.33', 'IPv4', port])
  assert.deepEqual(who.local, ['127.0.0.1', ports[0]])
})
