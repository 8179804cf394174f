/** What waits in the queue of a worker that accepts by itself is never lost with it: others serve it. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type net from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { connect, get, inParallel, type Where } from '../support/client.js'
import { noLeak } from '../support/descriptors.js'
import { allAccept, load, MODES } from '../support/distributed.js'
import { isStopped } from '../support/keepers.js'
import { arrived } from '../support/kernel-table.js'
import { fixture, root, scratch } from '../support/paths.js'
import { soon } from '../support/peers.js'
import { freePort, program } from '../support/programs.js'
import { type Supervised, supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

/** Answers with its place. Started anew it takes its time; at /close the worker closes its server, at /listen it opens it. */
const APP = `import { createServer } from 'node:http'
const { HANDOVER_WORKER, HANDOVER_GENERATION, SLOW } = process.env
const server = createServer((request, response) => {
  response.setHeader('connection', 'close')
  if (request.url === '/crash') process.exit(7)
  response.end(HANDOVER_WORKER)
})
const where = { port: Number(process.env.PORT ?? 0), host: '127.0.0.1' }
process.on('SIGUSR2', () => (server.listening ? server.close(() => say('closed')) : server.listen(where, () => say('open'))))
setInterval(() => {}, 1_000_000) // lives on without a port
server.listen(where)`

async function stopped(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP')
  await until('it has stopped', () => isStopped(readFileSync(`/proc/${pid}/stat`, 'utf8')))
}

/** Connects so many clients, which ask at once. */
async function asking(t: TestContext, { port }: Supervised, count: number): Promise<net.Socket[]> {
  const sockets: net.Socket[] = []
  await inParallel(count, count, async () => {
    const socket = await connect({ port })
    t.after(() => socket.destroy())
    socket.on('error', () => {}).write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    sockets.push(socket)
  })
  return sockets
}

/** What each is answered in the end; '' for one that was reset or closed. */
function answers(sockets: readonly net.Socket[]): Promise<string[]> {
  const all = sockets.map(async (socket) => {
    let text = ''
    socket.setEncoding('latin1').on('data', (piece: string) => {
      text += piece
    })
    await once(socket, 'close').catch(() => {})
    return text.slice(-1)
  })
  return soon(Promise.all(all), 'all are answered or closed')
}

for (const distribution of ['dispatch', ...MODES] as const) {
  test(`what waits in the kernel when the supervisor stops is served before the port closes (${distribution})`, async (t) => {
    noLeak(t)
    const app = await supervise(t, { script: program(t, APP), workers: 2, distribution })
    await until('they accept', () =>
      app.supervisor.status().workers.every((one) => one.accepts || distribution === 'dispatch'),
    )
    for (const pid of app.pids()) await stopped(pid)
    const sockets = await asking(t, app, 20)
    await arrived(app.port, 20)
    const heard = answers(sockets)
    const pids = app.pids()
    const done = app.supervisor.stop(10_000)
    for (const pid of pids) process.kill(pid, 'SIGCONT')
    for (const answer of await heard) assert.match(answer, /^[12]$/)
    await done
  })
}

for (const distribution of MODES) {
  test(`no connection is refused when a worker is killed under load, and others have its queue (${distribution})`, async (t) => {
    noLeak(t)
    const app = await supervise(t, { script: program(t, APP), workers: 3, distribution })
    await allAccept(app)
    const lanes = 8
    const requests = load({ port: app.port }, lanes)
    let kills = 0
    for (; kills < 3; kills++) {
      await requests.more(50)
      const [, pid] = app.pids()
      process.kill(pid as number, 'SIGKILL')
      await until('there is a successor', () => app.pids()[1] !== pid && app.pids().length === 3)
    }
    await requests.more(50)
    const { failed } = await requests.stop()
    // What the dead worker had accepted is lost, and nothing else: at most what was under way.
    for (const code of failed) assert.ok(['ECONNRESET', 'EPIPE'].includes(code), code)
    assert.ok(failed.length <= kills * lanes)
    await allAccept(app)
  })

  test(`a worker that is stopped keeps what is in its queue until it is gone, then others serve it (${distribution})`, async (t) => {
    noLeak(t)
    const app = await supervise(t, { script: program(t, APP), workers: 2, distribution })
    await allAccept(app)
    const [pid] = app.pids() as [number]
    await stopped(pid)
    const sockets = await asking(t, app, 40)
    const heard = answers(sockets)
    if (distribution === 'reuseport') process.kill(pid, 'SIGKILL') // else nobody waits for it
    const places = await heard
    if (distribution === 'share') process.kill(pid, 'SIGKILL')
    assert.equal(places.filter((place) => place === '2').length >= 1, true)
    assert.deepEqual(
      places.filter((place) => !/^[12]$/.test(place)),
      [],
    )
    // Its queue did not wait for the successor: the master handed it to the other.
    assert.equal(app.supervisor.status().dispatched > 0, distribution === 'reuseport')
    await until('it is replaced', () => app.pids().length === 2 && !app.pids().includes(pid))
    await allAccept(app)
  })

  test(`a worker whose program closes the port leaves what comes to others, and may open it again (${distribution})`, async (t) => {
    noLeak(t)
    const app = await supervise(t, {
      script: program(t, APP),
      workers: 2,
      distribution,
      env: { ...process.env, PORT: String(await freePort()) },
    })
    await allAccept(app)
    const accepts = (): boolean[] => app.supervisor.status().workers.map((worker) => worker.accepts)
    process.kill(app.pids()[1] as number, 'SIGUSR2')
    await until('it has closed', () => accepts()[1] === false)
    await inParallel(40, 8, async () => assert.equal((await get({ port: app.port })).body, '1'))
    assert.equal(app.supervisor.status().dispatched > 0, distribution === 'reuseport', "its queue is the master's")
    process.kill(app.pids()[1] as number, 'SIGUSR2')
    await allAccept(app)
    const { dispatched } = app.supervisor.status()
    const seen = new Set<string>()
    await until('both answer again', async () => {
      await inParallel(40, 40, async () => void seen.add((await get({ port: app.port })).body))
      return seen.size === 2
    })
    assert.equal(app.supervisor.status().dispatched, dispatched)
  })

  test(`a worker accepts no more than maxConnections, and clients wait for it (${distribution})`, async (t) => {
    noLeak(t)
    const app = await supervise(t, { script: fixture('net-echo.mjs'), workers: 1, distribution, maxConnections: 3 })
    await allAccept(app)
    const sockets: net.Socket[] = []
    let greeted = 0
    for (let i = 0; i < 5; i++) {
      const socket = await connect({ port: app.port })
      t.after(() => socket.destroy())
      socket.once('data', () => greeted++)
      sockets.push(socket)
    }
    await until('three are served', () => greeted === 3)
    await until('three are open', () => app.supervisor.status().workers[0]?.open === 3)
    assert.equal(greeted, 3)
    for (const socket of sockets.slice(0, 2)) socket.end()
    await until('the others have their turn', () => greeted === 5)
  })

  test(`a restarted worker that is ready before it listens on its second port accepts there, too, once it does (${distribution})`, async (t) => {
    noLeak(t)
    const source = `import { existsSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { worker } from ${JSON.stringify(join(root, 'dist/src/index.js'))}
const again = existsSync(process.env.AGAIN)
writeFileSync(process.env.AGAIN, '')
const listen = (host, then) => createServer((request, response) => {
  if (request.url === '/crash') process.exit(7)
  if (request.url === '/more') listen('127.0.0.2', () => response.end('more'))
  else response.end(host)
}).listen(0, host, then)
listen('127.0.0.1', () => {
  if (again) worker.ready()
  else listen('127.0.0.2', () => worker.ready())
})`
    const env = { ...process.env, AGAIN: join(scratch(t), 'again') }
    const app = await supervise(t, { script: program(t, source), distribution, env, readiness: { explicit: true } })
    const ports = app.supervisor.status().ports as unknown as Where[]
    const second = { ...(ports[1] as Where), host: '127.0.0.2' }
    assert.equal((await get(second)).body, '127.0.0.2')
    await assert.rejects(get({ port: app.port }, '/crash'))
    const waiting = get(second)
    assert.equal((await get({ port: app.port }, '/more')).body, 'more')
    assert.equal((await waiting).body, '127.0.0.2')
    await inParallel(10, 10, async () => assert.equal((await get(second)).body, '127.0.0.2'))
  })

  test(`a worker that has no descriptor free for a port is handed connections (${distribution})`, async (t) => {
    if (spawnSync('prlimit', ['--version']).status !== 0) return t.skip('needs prlimit (util-linux)')
    noLeak(t)
    const source = `import { openSync, closeSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { createServer } from 'node:http'
createServer((request, response) => response.end('first')).listen(0, '127.0.0.1', () => {
  spawnSync('prlimit', ['--pid', String(process.pid), '--nofile=100'])
  const full = []
  try {
    for (;;) full.push(openSync('/dev/null'))
  } catch {}
  process.on('SIGUSR2', () => full.forEach((descriptor) => closeSync(descriptor)))
  createServer((request, response) => response.end('second')).listen(0, '127.0.0.2')
})`
    const app = await supervise(t, { script: program(t, source), distribution })
    await until('both listen', () => app.supervisor.status().ports.length === 2)
    const [first, second] = app.supervisor.status().ports as unknown as [Where, Where]
    const asked = get({ ...second, host: '127.0.0.2' })
    process.kill(app.pids()[0] as number, 'SIGUSR2')
    assert.equal((await asked).body, 'second')
    assert.equal((await get({ ...first })).body, 'first')
    assert.equal(app.supervisor.status().dispatched >= 1, true, 'the second by the master')
  })
}

test('a port that somebody else has is refused, even if he would share it with anybody', async (t) => {
  noLeak(t)
  const first = await supervise(t, { script: program(t, APP), distribution: 'reuseport' })
  const env = { ...process.env, PORT: String(first.port) }
  await assert.rejects(supervise(t, { script: program(t, APP), distribution: 'reuseport', env }), {
    code: 'EADDRINUSE',
  })
})

test('ports are distributed by the first rule that fits them', async (t) => {
  noLeak(t)
  const port = await freePort()
  const source = `import { createServer } from 'node:http'
createServer((request, response) => response.end('one')).listen(${port}, '127.0.0.1')
createServer((request, response) => response.end('other')).listen(0, '127.0.0.1')`
  const distribution = [{ ports: [port], mode: 'dispatch' as const }, { mode: 'share' as const }]
  const { supervisor } = await supervise(t, { script: program(t, source), distribution })
  await until('both listen', () => supervisor.status().ports.length === 2)
  const [, other] = supervisor.status().ports as { port: number }[]
  assert.equal((await get({ port })).body, 'one')
  assert.equal(supervisor.status().dispatched, 1)
  assert.equal((await get({ port: other?.port ?? 0 })).body, 'other')
  assert.equal(supervisor.status().dispatched, 1)
})

test('workers of groups are left out where there are others: nobody would send them anything', async (t) => {
  noLeak(t)
  const options = { workers: 1, groups: { apart: { workers: 1 } }, distribution: 'share' as const }
  const app = await supervise(t, { script: program(t, APP), ...options }, 2)
  await until('the first accepts', () => app.supervisor.status().workers[0]?.accepts === true)
  await inParallel(40, 8, async () => assert.equal((await get({ port: app.port })).body, '1'))
  assert.equal(app.supervisor.status().workers[1]?.accepts, false)
})
