import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { errnoOf } from '../../src/errors.js'
import { connectTo, withoutProbes } from '../../src/supervisor/generations/probe-connection.js'
import type { ChannelTarget } from '../../src/supervisor/workers/channel-target.js'
import { close, dup } from '../../src/syscalls/descriptor.js'
import { type ArrivalNote, arrivalNote } from '../../src/transport/arrival-note.js'
import type { Arrivals } from '../../src/transport/arrivals.js'
import { noLeak, openDescriptors } from '../support/descriptors.js'
import { fakeKernel } from '../support/fake-kernel.js'
import { root } from '../support/paths.js'
import { certificate, freePort, program } from '../support/programs.js'
import { supervise } from '../support/supervised.js'

/** A target that keeps what it is given. */
function keeper(room: number): { target: ChannelTarget; rows: { descriptor: number; arrivals: Arrivals }[] } {
  const rows: { descriptor: number; arrivals: Arrivals }[] = []
  const target = {
    room,
    take: (arrivals: Arrivals) => void rows.push({ descriptor: arrivals.descriptor(0), arrivals }),
    flush() {},
  }
  return { target: target as unknown as ChannelTarget, rows }
}

for (const kind of ['tcp', 'unix'] as const) {
  test(`a question that comes back from its worker is closed, and asked of nobody else; other connections stay (${kind})`, async (t) => {
    noLeak(t)
    const { target, rows } = keeper(1)
    const socket = await connectTo(target, 1, kind)
    t.after(() => socket.destroy())
    const [probe] = rows as [(typeof rows)[0]]
    const other = dup(probe.descriptor)
    const note = arrivalNote({ group: 'shop' }, null)
    const given = {
      descriptors: Int32Array.of(other, probe.descriptor),
      tags: Uint32Array.of(4, 1),
      notes: new Map([
        [0, note],
        [1, probe.arrivals.note(0) as ArrivalNote],
      ]),
    }
    const kept = withoutProbes(given)
    assert.deepEqual(kept, { descriptors: Int32Array.of(other), tags: Uint32Array.of(4), notes: new Map([[0, note]]) })
    assert.ok(!openDescriptors().has(probe.descriptor))
    assert.equal(withoutProbes(kept), kept)
    const ended = new Promise((resolve) => socket.once('close', resolve))
    socket.resume()
    close(other)
    await ended
  })
}

test('a worker without room is not asked, and nothing is left open', async (t) => {
  noLeak(t)
  const { target, rows } = keeper(0)
  await assert.rejects(connectTo(target, 1, 'tcp'), /it takes no connection now/)
  assert.equal(rows.length, 0)
})

for (const [what, call, times] of [
  ['no further socket', 'socket', 1],
  ['no wait', 'readyArm', 1],
] as const) {
  test(`where the system allows ${what}, nothing is asked and nothing is left open`, async (t) => {
    noLeak(t)
    const { target, rows } = keeper(1)
    // The listener's comes first, and its wait.
    let left: number = times
    fakeKernel(t, {
      [call]: (real: (...args: never[]) => number, ...args: never[]) =>
        left-- > 0 ? real(...args) : errnoOf('EMFILE'),
    })
    await assert.rejects(connectTo(target, 1, 'tcp'), { code: 'EMFILE' })
    assert.equal(rows.length, 0)
  })
}

test('a worker is asked by TLS where the URL says so, at the port that it names', async (t) => {
  noLeak(t)
  const { keyFile, certFile } = certificate(t)
  const [plain, secure] = [await freePort(), await freePort()]
  const source = `import { createServer } from 'node:https'
import { createServer as plain } from 'node:http'
import { readFileSync } from 'node:fs'
plain((_, response) => response.writeHead(500).end()).listen(${plain}, '127.0.0.1')
createServer({ key: readFileSync(${JSON.stringify(keyFile)}), cert: readFileSync(${JSON.stringify(certFile)}) }, (request, response) => {
  say('asked', [process.env.HANDOVER_GENERATION, request.url, request.headers.host, request.socket.servername])
  response.end()
}).listen(${secure}, '127.0.0.1')`
  const app = await supervise(t, { script: program(t, source) })
  await app.supervisor.reload({ readiness: { http: `https://localhost:${secure}/ready?full` } })
  const asked = app.lines.map((line) => (JSON.parse(line) as { value: string[] }).value)
  assert.deepEqual(asked, [['2', '/ready?full', `localhost:${secure}`, 'localhost']])
  await assert.rejects(
    app.supervisor.reload({
      readiness: { http: `http://localhost:${plain}/`, interval: 50 },
      milliseconds: app.enough,
    }),
    /worker 1: it answers \/ with status 500$/,
  )
})

test('the page tells of every field of readiness', () => {
  const page = readFileSync(`${root}/docs/run.md`, 'utf8')
  const section = page.slice(page.indexOf('### When is a generation ready?'), page.indexOf('### The way back'))
  const source = readFileSync(`${root}/src/supervisor/generations/generation-options.ts`, 'utf8')
  const block = /interface ReadinessOptions \{([\s\S]*?)\n\}/.exec(source)?.[1] ?? ''
  const fields = [...block.matchAll(/^ {2}(\w+)\?:/gm)].map(([, name]) => name as string)
  assert.deepEqual(fields, ['http', 'command', 'explicit', 'interval', 'timeout'])
  for (const field of fields) assert.match(section, new RegExp(`\`${field}\\b`))
})
