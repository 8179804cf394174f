/** `handover run --admin --agent-check` is seen from outside, and keeps its token from its workers. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import test from 'node:test'
import { askAt, TOKEN } from '../support/admin.js'
import { handover } from '../support/command.js'
import { fixture } from '../support/paths.js'
import { freePort, program } from '../support/programs.js'

const args = ['run', '--no-control']

test('a token that nobody chose is said once, and works', async (t) => {
  const { line, child, ended } = handover(t, [...args, '--admin', '0', fixture('http-pid.mjs')])
  const url = new URL(await line(/seen from outside at (\S+)/))
  await line(/worker 1 ready/)
  const token = url.searchParams.get('token') ?? ''
  assert.equal(url.hostname, '127.0.0.1')
  assert.ok(token.length >= 16)
  const port = Number(url.port)
  assert.equal((await askAt(port, '/status')).status, 401)
  const { version, ready } = JSON.parse((await askAt(port, '/status', { token })).text) as Record<string, unknown>
  assert.match(String(version), /^\d+\.\d+\.\d+/)
  assert.equal(ready, true)
  assert.equal((await askAt(port, '/readyz')).status, 200)
  child.kill('SIGTERM')
  assert.equal(await ended, 0)
})

test('a token of the environment is not shown, and no worker has it', async (t) => {
  const script = program(
    t,
    "say('token', process.env.HANDOVER_ADMIN_TOKEN ?? 'none')\nawait import('node:http').then(({ createServer }) => createServer().listen(0, '127.0.0.1'))\n",
  )
  const env = { ...process.env, HANDOVER_ADMIN_TOKEN: TOKEN }
  const ports = [await freePort(), await freePort()]
  const command = handover(t, [...args, '--admin', `${ports[0]}`, '--agent-check', `127.0.0.1:${ports[1]}`, script], {
    env,
  })
  assert.match(await command.line(/"what":"token","value":"(\w+)"/), /^none$/)
  await command.line(/tells HAProxy its load at/)
  await command.line(/worker 1 ready/)
  assert.ok(!command.said().includes(TOKEN))
  assert.equal((await askAt(ports[0] as number, '/status', { token: TOKEN })).status, 200)
  const agent = net.connect(ports[1] as number, '127.0.0.1').setEncoding('utf8')
  assert.match(String(await once(agent, 'data')), /^ready up \d+%\n$/)
  command.child.kill('SIGTERM')
  assert.equal(await command.ended, 0)
})

test('what is wrong is said in a line, with the code of its class', async (t) => {
  const script = fixture('http-pid.mjs')
  const wrong = handover(t, [...args, '--admin', 'example.org:1', script])
  assert.equal(await wrong.ended, 100)
  assert.match(wrong.stderr(), /It takes \[host:\]port/)
  const short = handover(t, [...args, '--admin', '0', script], {
    env: { ...process.env, HANDOVER_ADMIN_TOKEN: 'short' },
  })
  assert.equal(await short.ended, 100)
  assert.match(short.stderr(), /--admin: token: at least 16 characters, not 5/)
  const server = net.createServer().listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  const taken = handover(t, [...args, '--admin', `${port}`, script])
  assert.equal(await taken.ended, 111)
  assert.match(taken.stderr(), new RegExp(`cannot listen on 127\\.0\\.0\\.1 port ${port}: EADDRINUSE`))
})
