/** `handover upgrade`: the process of the command is replaced, and nobody outside notices. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, existsSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { askAt, TOKEN } from '../support/admin.js'
import { type Command, controlFolder, handover } from '../support/command.js'
import { scratch } from '../support/paths.js'
import { program } from '../support/programs.js'
import { isRunning } from '../support/successions.js'
import { until } from '../support/wait.js'

const APP = `
import http from 'node:http'
http.createServer((request, response) => {
  const answer = () => response.end(process.pid + ' ' + request.url)
  if (request.method === 'POST') request.resume().on('end', answer)
  else answer()
}).listen(Number(process.env.AT), '127.0.0.1')
`
const MODES = process.platform === 'linux' ? ['dispatch', 'share', 'reuseport'] : ['dispatch', 'share']

interface Status {
  pid: number
  workers: { worker: number; pid: number; ready: boolean; total: number }[]
  generations: { number: number; state: string }[]
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Every process that was the service of a test. */
const masters = new WeakMap<TestContext, Set<number>>()

/** Runs a command to its end. @returns its answer; it is one JSON object a line */
async function ask(t: TestContext, ...args: string[]): Promise<Record<string, unknown>> {
  const run = handover(t, [...args, '--json'])
  assert.equal(await run.ended, 0, run.said())
  const answer = JSON.parse(run.stdout().trim().split('\n').at(-1) as string) as Record<string, unknown>
  if (typeof answer.pid === 'number') masters.get(t)?.add(answer.pid)
  return answer
}

const status = async (t: TestContext): Promise<Status> => (await ask(t, 'status')) as unknown as Status

/** A service that is there; whoever is its process is ended with the test. */
async function service(
  t: TestContext,
  { words = [], env: given = process.env }: { words?: string[]; env?: NodeJS.ProcessEnv } = {},
): Promise<{ run: Command; port: number }> {
  const pids = new Set<number>()
  masters.set(t, pids)
  // Before the command's own end, which waits for all that hold its output open.
  t.after(() => {
    for (const pid of pids) if (isRunning(pid)) process.kill(pid, 'SIGKILL')
  })
  const port = await freePort()
  const env = { ...given, AT: String(port) }
  const run = handover(t, ['run', '-w', '2', ...words, program(t, APP)], { env, control: controlFolder(t) })
  pids.add(run.child.pid as number)
  await until('two workers are ready', () => (run.said().match(/worker \d ready/g) ?? []).length === 2)
  return { run, port }
}

/** Clients that ask again and again, each by new connections and by one that it keeps. */
function load(
  t: TestContext,
  port: number,
): { end(): Promise<{ answered: number; failures: string[]; kept: number }> } {
  const failures: string[] = []
  let [answered, stopped] = [0, false]
  let kept = 0
  const one = async (agent: http.Agent, fresh: boolean): Promise<void> => {
    for (let turn = 0; !stopped; turn++) {
      try {
        const request = http.get({ host: '127.0.0.1', port, path: `/${turn}`, agent })
        if (!fresh) request.on('socket', (socket) => socket.once('connect', () => void kept++))
        const [response] = (await once(request, 'response')) as [http.IncomingMessage]
        let body = ''
        for await (const part of response) body += part
        assert.match(body, new RegExp(` /${turn}$`))
        answered += 1
      } catch (error) {
        failures.push((error as Error).message)
      }
    }
  }
  const agents = [true, false].map((fresh) => new http.Agent({ keepAlive: !fresh, maxSockets: 8 }))
  t.after(() => agents.forEach((agent) => void agent.destroy()))
  const clients = agents.flatMap((agent, index) => Array.from({ length: 4 }, () => one(agent, index === 0)))
  return {
    async end() {
      stopped = true
      await Promise.all(clients)
      return { answered, failures, kept }
    },
  }
}

for (const mode of MODES) {
  test(`three upgrades under load lose nothing, and the last process is steered as the first (${mode})`, async (t) => {
    const { run, port } = await service(t, { words: ['--distribution', mode] })
    const before = await status(t)
    const clients = load(t, port)
    const pids = [run.child.pid as number]
    for (let nth = 1; nth <= 3; nth++) {
      const { pid, previous } = (await ask(t, 'upgrade')) as { pid: number; previous: number }
      assert.equal(previous, pids.at(-1))
      pids.push(pid)
      await until('the process before has ended', () => !isRunning(previous))
    }
    const after = await status(t)
    const { answered, failures, kept } = await clients.end()
    assert.deepEqual(failures, [])
    assert.ok(answered > 0)
    assert.equal(kept, 4, 'connections that are kept are never made anew')
    assert.equal(after.pid, pids.at(-1))
    assert.deepEqual(
      after.workers.map(({ pid }) => pid),
      before.workers.map(({ pid }) => pid),
    )
    await ask(t, 'reload')
    const reloaded = await status(t)
    assert.deepEqual(
      reloaded.generations.map(({ number, state }) => [number, state]),
      [[2, 'serving']],
    )
    assert.equal(await handover(t, ['stop']).ended, 0)
    assert.ok(!isRunning(pids.at(-1) as number))
    assert.ok(!reloaded.workers.some(({ pid }) => isRunning(pid)))
  })
}

test('an upgrade that cannot be changes nothing, says why, and ends with 1', async (t) => {
  const { run, port } = await service(t, { words: ['--name', 'upgraded'] })
  const before = await status(t)
  process.kill(before.workers[0]?.pid as number, 'SIGSTOP')
  t.after(() => {
    if (isRunning(before.workers[0]?.pid as number)) process.kill(before.workers[0]?.pid as number, 'SIGCONT')
  })
  const pending = net.connect(port, '127.0.0.1').on('error', () => {})
  t.after(() => void pending.destroy())
  const other = net.connect(port, '127.0.0.1').on('error', () => {})
  t.after(() => void other.destroy())
  await until('the stopped worker owes something', async () =>
    (await status(t)).workers.some((worker) => (worker as unknown as { unclaimed: number }).unclaimed > 0),
  )
  const upgrade = handover(t, ['upgrade'])
  assert.equal(await upgrade.ended, 1, upgrade.said())
  assert.match(upgrade.stderr(), /not at rest within 5000 ms: worker 1 \(process \d+\) does not answer/)
  process.kill(before.workers[0]?.pid as number, 'SIGCONT')
  assert.equal((await status(t)).pid, run.child.pid)
  const done = (await ask(t, 'upgrade')) as { previous: number }
  assert.equal(done.previous, run.child.pid, 'nothing of the first try is in the way of the second')
})

test('SIGTERM to the new process stops the service, and commands that come while it is replaced are answered', async (t) => {
  const { run } = await service(t, { words: ['--admin', '127.0.0.1:0'] })
  const upgrade = ask(t, 'upgrade')
  const asked = await Promise.all([status(t), status(t), status(t), upgrade.then(() => status(t))])
  const { pid } = (await upgrade) as { pid: number }
  assert.equal(asked.at(-1)?.pid, pid)
  for (const { pid: answerer } of asked) assert.ok([run.child.pid, pid].includes(answerer))
  assert.equal(await run.exited, 0)
  process.kill(pid, 'SIGTERM')
  await until('it has ended', () => !isRunning(pid))
  assert.ok(!asked[0]?.workers.some((worker) => isRunning(worker.pid)))
})

test('a reload whose old workers still finish is done when another process has them, and says which', async (t) => {
  const { port } = await service(t)
  const long = http.request({ host: '127.0.0.1', port, method: 'POST', path: '/long' }).on('error', () => {})
  t.after(() => void long.destroy())
  long.write('part')
  await until('a worker has it', async () => (await status(t)).workers.some(({ total }) => total > 0))
  const reload = handover(t, ['reload', '--health-window', '0'])
  await reload.line(/generation 2 has every new connection/)
  const { pid } = (await ask(t, 'upgrade')) as { pid: number }
  assert.equal(await reload.ended, 0, reload.said())
  assert.match(
    reload.stdout(),
    new RegExp(`^generation 2 serves; old workers finish under process ${pid}, which has`, 'm'),
  )
  const states = (await status(t)).generations.map(({ number, state }) => [number, state])
  assert.deepEqual(states, [
    [1, 'draining'],
    [2, 'serving'],
  ])
  long.end()
  await until('the old workers are gone', async () => (await status(t)).generations.length === 1)
  assert.equal(await handover(t, ['stop']).ended, 0)
})

test('after an upgrade the admin address tells the generation that serves', async (t) => {
  const at = await freePort()
  const env = { ...process.env, HANDOVER_ADMIN_TOKEN: TOKEN }
  await service(t, { words: ['--admin', `${at}`], env })
  await ask(t, 'reload', '--health-window', '0')
  const told = async (): Promise<unknown[]> => {
    const { text } = await askAt(at, '/status', { token: TOKEN })
    const metrics = await askAt(at, '/metrics')
    const { pid, generation } = JSON.parse(text) as { pid: number; generation: number }
    return [pid, generation, /^handover_generation (\d+)$/m.exec(metrics.text)?.[1]]
  }
  const [first, ...before] = await told()
  assert.deepEqual(before, [2, '2'])
  const { pid, previous } = (await ask(t, 'upgrade')) as { pid: number; previous: number }
  assert.equal(previous, first)
  await until('the new process has the address', () =>
    told().then(
      ([now]) => now === pid,
      () => false,
    ),
  )
  assert.deepEqual(await told(), [pid, 2, '2'])
  assert.equal(await handover(t, ['stop']).ended, 0)
})

test('the token of the environment is there for a configuration that has an admin address after an upgrade', async (t) => {
  const config = join(scratch(t), 'handover.config.json')
  writeFileSync(config, '{}')
  const at = await freePort()
  await service(t, { words: ['--config', config], env: { ...process.env, HANDOVER_ADMIN_TOKEN: TOKEN } })
  await ask(t, 'upgrade')
  writeFileSync(config, JSON.stringify({ admin: at }))
  await ask(t, 'upgrade')
  const answered = async (): Promise<number> => (await askAt(at, '/status', { token: TOKEN })).status
  await until('the address is there', () => answered().then(Boolean, () => false))
  assert.equal(await answered(), 200)
  assert.equal(await handover(t, ['stop']).ended, 0)
})

test('a new process whose folder of control sockets others may write to goes on with the socket that there is', async (t) => {
  await service(t, { words: ['--name', 'shop'] })
  const [folder, path] = [controlFolder(t), join(controlFolder(t), 'shop.sock')]
  chmodSync(folder, 0o777)
  const { pid } = (await ask(t, 'upgrade', '--control', path)) as { pid: number }
  assert.equal(((await ask(t, 'status', '--control', path)) as unknown as Status).pid, pid)
  chmodSync(folder, 0o700)
  assert.equal((await status(t)).pid, pid)
  assert.equal(await handover(t, ['stop']).ended, 0)
  assert.ok(!existsSync(path))
})

test('a new process that has no control socket leaves none behind that nobody answers at', async (t) => {
  const folder = scratch(t)
  const config = join(folder, 'handover.config.json')
  writeFileSync(config, '{}')
  const { run } = await service(t, { words: ['--name', 'shop', '--config', config] })
  writeFileSync(config, JSON.stringify({ control: join(folder, 'none/shop.sock') }))
  const { pid } = (await ask(t, 'upgrade')) as { pid: number }
  await run.line(/no other command reaches this supervisor: .*no such folder/)
  await until('the process before has ended', () => !isRunning(run.child.pid as number))
  assert.equal(await handover(t, ['status', '--name', 'shop']).ended, 3, 'there is nobody: it is told at once')
  assert.ok(!existsSync(join(controlFolder(t), 'shop.sock')))
  process.kill(pid, 'SIGTERM')
  await until('it has ended', () => !isRunning(pid))
})

test('a new process that fails by itself is quoted to whoever asked, and the old one goes on', async (t) => {
  const config = join(scratch(t), 'handover.config.json')
  writeFileSync(config, '{}')
  const { run } = await service(t, { words: ['--config', config] })
  writeFileSync(config, JSON.stringify({ nonsense: 1 }))
  const upgrade = handover(t, ['upgrade'])
  assert.equal(await upgrade.ended, 1, upgrade.said())
  assert.match(upgrade.stderr(), /it ended with code 100/)
  assert.match(upgrade.stderr(), /^ {2}handover handover\.config\.json: nonsense: no such key/m)
  assert.match(run.stderr(), /^handover handover\.config\.json: nonsense: no such key/m, 'the log has it as well')
  writeFileSync(config, '{}')
  assert.equal(((await ask(t, 'upgrade')) as { previous: number }).previous, run.child.pid)
  assert.equal(await handover(t, ['stop']).ended, 0)
})
