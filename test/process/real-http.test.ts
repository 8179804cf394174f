/** HTTP clients that others have written reach the group of their request's host, or version. */
import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { httpRequestHead } from '../../src/index.js'
import { noLeak } from '../support/descriptors.js'
import { fixture } from '../support/paths.js'
import { program } from '../support/programs.js'
import { type Supervised, supervise } from '../support/supervised.js'
import { run, tool, wrk } from '../support/tools.js'

const curl = tool('curl')
const wrkTool = tool('wrk')

/** A server of HTTP/2 in clear text, on the port that the others listen on. */
const H2C = `import http2 from 'node:http2'
http2.createServer((request, response) => {
  response.end(JSON.stringify({ group: process.env.HANDOVER_GROUP, version: request.httpVersion }))
}).listen(0, '127.0.0.1')`

/** Two hosts and HTTP/2 on one port. */
async function hosts(t: TestContext): Promise<Supervised & { total(group: string): number }> {
  noLeak(t)
  const app = await supervise(
    t,
    {
      script: fixture('says-who.mjs'),
      groups: { shop: { workers: 2 }, api: {}, h2c: { script: program(t, H2C) } },
      handshake: {
        inspect: httpRequestHead({
          routes: [
            { host: 'shop.example', to: 'shop' },
            { host: '*.api.example', to: 'api' },
            { version: '2', to: 'h2c' },
          ],
        }),
      },
    },
    4,
  )
  const total = (of: string): number =>
    app.supervisor.status().workers.reduce((sum, worker) => sum + (worker.group === of ? worker.total : 0), 0)
  return { ...app, total }
}

test('curl reaches the group of the host; a host that is not known is answered with 421', curl, async (t) => {
  const { port } = await hosts(t)
  const ask = (name: string, ...args: string[]) => {
    const where = ['--resolve', `${name}:${port}:127.0.0.1`, `http://${name}:${port}/`]
    return run(t, curl, ['-sS', '--noproxy', '*', ...args, ...where])
  }
  for (const [name, group] of [
    ['shop.example', 'shop'],
    ['SHOP.example', 'shop'],
    ['v1.api.example', 'api'],
  ] as const) {
    const { code, out, said } = await ask(name)
    assert.equal(code, 0, said)
    assert.equal((JSON.parse(out) as { group: string }).group, group)
  }
  const body = 'x'.repeat(100_000) // curl expects to be told to continue
  const sent = await ask('v1.api.example', '--data', body)
  assert.equal((JSON.parse(sent.out) as { group: string }).group, 'api')
  assert.equal((await ask('other.example', '-o', '/dev/null', '-w', '%{http_code}')).out, '421')
})

test('curl with prior knowledge of HTTP/2 reaches who speaks it', curl, async (t) => {
  const { port } = await hosts(t)
  const args = ['-sS', '--noproxy', '*', '--http2-prior-knowledge', `http://127.0.0.1:${port}/`]
  const { code, out, said } = await run(t, curl, args)
  assert.equal(code, 0, said)
  assert.deepEqual(JSON.parse(out), { group: 'h2c', version: '2.0' })
})

test('wrk’s connections are all of the group whose host it asks for', wrkTool, async (t) => {
  const { port, total } = await hosts(t)
  assert.ok((await wrk(t, wrkTool, `http://127.0.0.1:${port}/`, '-H', 'Host: shop.example')) > 0)
  assert.ok(total('shop') >= 10)
  assert.deepEqual([total('api'), total('h2c')], [0, 0])
})
