import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { connect, inParallel } from '../support/client.js'
import { MODES } from '../support/distributed.js'
import { isStopped } from '../support/keepers.js'
import { arrived } from '../support/kernel-table.js'
import { root } from '../support/paths.js'
import { closed, heard, next, type Plain, plainly, program } from '../support/programs.js'
import { until } from '../support/wait.js'

/** Starts a master of two workers as a process of its own, which can be killed. */
async function master(
  t: TestContext,
  source: string,
  distribution = 'dispatch',
): Promise<Plain & { pid: number; port: number; workers: number[] }> {
  const script = program(
    t,
    `import { Supervisor } from ${JSON.stringify(join(root, 'dist/src/index.js'))}
    const supervisor = new Supervisor({ script: process.env.SCRIPT, workers: 2, distribution: '${distribution}' })
    let left = 2
    supervisor.on('line', ({ text }) => console.log(text))
    supervisor.on('ready', () => {
      if (--left > 0) return
      const { ports, workers } = supervisor.status()
      say('up', { pid: process.pid, port: ports[0].port, workers: workers.map(({ pid }) => pid) })
    })
    await supervisor.start()`,
  )
  const plain = plainly(t, script, { SCRIPT: program(t, source) })
  const [up] = (await heard(plain, 'up')) as [{ pid: number; port: number; workers: number[] }]
  t.after(() => {
    for (const pid of up.workers) if (isAlive(pid)) process.kill(pid, 'SIGKILL')
  })
  return { ...plain, ...up }
}

/** Nobody may have asked yet how a process ended whose parent is gone: such a one counts as ended. */
function isAlive(pid: number): boolean {
  try {
    if (process.platform === 'linux') return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const APP = `
  import http from 'node:http'
  setInterval(() => {}, 1000)
  http.createServer(async (request, response) => {
    let size = 0
    for await (const chunk of request) {
      if (size === 0) say('reads')
      size += chunk.length
    }
    response.end('had ' + size)
  }).listen(0, '127.0.0.1')`

test('workers whose master is killed finish what is under way, then end', async (t) => {
  const { pid, port, workers, ended, lines } = await master(t, APP)
  const socket = await connect({ port })
  let received = ''
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    received += chunk
  })
  const gone = closed(socket)
  socket.write('POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\nhalf')
  await heard({ lines }, 'reads')
  process.kill(pid, 'SIGKILL')
  assert.equal(await ended, 'SIGKILL')
  await until('the idle worker has ended', () => workers.filter(isAlive).length === 1)
  await assert.rejects(connect({ port }), { code: 'ECONNREFUSED' })
  socket.write('half')
  await gone
  assert.match(received, /had 8$/)
  await until('both workers have ended', () => !workers.some(isAlive))
})

for (const distribution of MODES) {
  test(`workers that accept by themselves serve what waits when their master is killed, and leave the port (${distribution})`, async (t) => {
    const { pid, port, workers } = await master(t, APP, distribution)
    for (const worker of workers) process.kill(worker, 'SIGSTOP')
    const all = (holds: (pid: number) => boolean) => (): boolean => workers.every(holds)
    await until(
      'they have stopped',
      all((worker) => isStopped(readFileSync(`/proc/${worker}/stat`, 'utf8'))),
    )
    const answers: Promise<unknown[]>[] = []
    await inParallel(20, 20, async () => {
      const socket = await connect({ port })
      t.after(() => socket.destroy())
      socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
      answers.push(next(socket, 'data'))
    })
    await arrived(port, 20)
    process.kill(pid, 'SIGKILL')
    for (const worker of workers) process.kill(worker, 'SIGCONT')
    for (const [answer] of await Promise.all(answers)) assert.match(`${answer}`, /^HTTP\/1.1 200/)
    await until(
      'they have ended',
      all((worker) => !isAlive(worker)),
    )
    await assert.rejects(connect({ port }), { code: 'ECONNREFUSED' })
  })
}
