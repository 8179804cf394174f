/** What examples/deploy/ says is accepted by the programs it is for, and keeps its promise: no request is lost. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { ListeningPort, type SocketAddress } from '../../src/index.js'
import { load } from '../support/balanced.js'
import { type Command, command, isAlive } from '../support/command.js'
import { noLeak } from '../support/descriptors.js'
import { fixture, root, scratch } from '../support/paths.js'
import { freePort } from '../support/programs.js'
import { run, start, tool } from '../support/tools.js'
import { until } from '../support/wait.js'

const haproxy = tool('haproxy')
const systemdAnalyze = tool('systemd-analyze', 'systemd')
const deploy = (name: string): string => join(root, 'examples/deploy', name)
const text = (name: string): string => readFileSync(deploy(name), 'utf8')

/** Replaces each of these, which must be there. */
function withParts(source: string, parts: [RegExp, string][]): string {
  return parts.reduce((now, [part, by]) => {
    assert.match(now, part)
    return now.replace(part, by)
  }, source)
}

test('systemd finds nothing wrong with the unit', systemdAnalyze, async (t) => {
  const folder = scratch(t)
  // Programs must be there for it.
  const unit = text('shop.service').replaceAll('/srv/shop/node_modules/.bin/handover', process.execPath)
  writeFileSync(join(folder, 'shop.service'), unit)
  const { code, said } = await run(t, systemdAnalyze, ['verify', '--man=no', join(folder, 'shop.service')])
  const own = said.split('\n').filter((line) => /shop/.test(line))
  assert.deepEqual([code, own], [0, []], said)
})

test('the unit’s time to stop is longer than the drain', () => {
  const unit = text('shop.service')
  const number = (pattern: RegExp): number => Number(pattern.exec(unit)?.[1])
  assert.ok(number(/TimeoutStopSec=(\d+)/) > number(/--drain-timeout (\d+)/))
})

const python = tool('python3')

test('the manifest is YAML, its probes are of the admin port, and its times fit', python, async (t) => {
  const read = 'import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))'
  const { code, out, said } = await run(t, python, ['-c', read, deploy('kubernetes.yaml')])
  if (/No module named 'yaml'/.test(said)) return t.skip('needs python3-yaml')
  assert.equal(code, 0, said)
  const [deployment, service] = JSON.parse(out) as Manifest[]
  assert.deepEqual([deployment?.kind, service?.kind], ['Deployment', 'Service'])
  const template = deployment?.spec.template as Template
  const { terminationGracePeriodSeconds: grace, containers } = template.spec
  const [container] = containers as [Container]
  const at = (name: string): string => container.args[container.args.indexOf(name) + 1] as string
  const sleep = Number(container.lifecycle.preStop.exec.command[1])
  assert.ok(grace > sleep + Number(at('--drain-timeout')))
  const [, port] = at('--admin').split(':')
  assert.equal(container.ports.find(({ name }) => name === 'admin')?.containerPort, Number(port))
  assert.equal(template.metadata.annotations['prometheus.io/port'], port)
  assert.deepEqual(
    [container.startupProbe, container.readinessProbe, container.livenessProbe].map(({ httpGet }) => httpGet),
    ['/readyz', '/readyz', '/livez'].map((path) => ({ path, port: 'admin' })),
  )
})

interface Manifest {
  kind: string
  spec: { template?: Template }
}

interface Template {
  metadata: { annotations: Record<string, string> }
  spec: { terminationGracePeriodSeconds: number; containers: Container[] }
}

interface Container {
  args: string[]
  ports: { name: string; containerPort: number }[]
  lifecycle: { preStop: { exec: { command: string[] } } }
  startupProbe: { httpGet: object }
  readinessProbe: { httpGet: object }
  livenessProbe: { httpGet: object }
}

test('HAProxy finds nothing wrong with its configuration', haproxy, async (t) => {
  const { code, said } = await run(t, haproxy, ['-c', '-f', deploy('haproxy.cfg')])
  assert.equal(code, 0, said)
  assert.doesNotMatch(said, /WARNING|ALERT/, said)
})

interface Ports {
  served: number
  admin: number
  agent: number
}

/** One machine, at an address of its own. */
async function machine(t: TestContext, host: string, ports: Ports): Promise<Command> {
  const started = command(t, process.execPath, [deploy('master.mjs')], {
    env: {
      ...process.env,
      HOST: host,
      PORT: `${ports.served}`,
      ADMIN_PORT: `${ports.admin}`,
      AGENT_PORT: `${ports.agent}`,
      HANDOVER_ADMIN_TOKEN: 'a-token-of-the-tests',
      PROXIES: '127.0.0.0/8',
      SCRIPT: fixture('says-path.mjs'),
    },
  })
  await started.line(/^serving/m)
  return started
}

/** What HAProxy says of its servers: status by name. */
async function statuses(path: string): Promise<Record<string, string>> {
  const client = net.connect(path).setEncoding('utf8')
  client.end('show stat\n')
  let said = ''
  for await (const part of client) said += part
  const [head = [], ...rows] = said.split('\n').map((line) => line.split(','))
  const status = (row: string[]): string => row[head.indexOf('status')] ?? ''
  return Object.fromEntries(rows.filter(([proxy]) => proxy === 'shop').map((row) => [row[1], status(row)]))
}

/** Process ids of a machine's workers, as its status says. */
async function workersOf(host: string, port: number): Promise<number[]> {
  const answer = await fetch(`http://${host}:${port}/status`, {
    headers: { authorization: 'Bearer a-token-of-the-tests' },
  })
  const { workers } = (await answer.json()) as { workers: { pid: number }[] }
  return workers.map(({ pid }) => pid)
}

test(
  'behind HAProxy one machine is reloaded, another is killed and comes back, and no request fails',
  haproxy,
  async (t) => {
    noLeak(t)
    // HAProxy inherits its port, so that nobody else can have it; the machines open theirs themselves, on two addresses.
    const listening = ListeningPort.open({ host: '127.0.0.1', port: 0 })
    t.after(() => void listening.close())
    const { port: front } = listening.address as SocketAddress
    const [served, admin, agent] = [await freePort(), await freePort(), await freePort()]
    const ports = { served, admin, agent }
    const one = await machine(t, '127.0.0.1', ports)
    const two = await machine(t, '127.0.0.2', ports)
    const folder = join(scratch(t), 'haproxy')
    mkdirSync(folder)
    const stats = join(folder, 'admin.sock')
    const config = withParts(text('haproxy.cfg'), [
      [/\/run\/haproxy\/admin\.sock/, stats],
      [/maxconn 20000/, 'maxconn 500'],
      [/bind :80/, 'bind fd@3'],
      [/check port 9100/, `check port ${admin}`],
      [/agent-port 9101/, `agent-port ${agent}`],
      [/10\.0\.0\.11:8080/, `127.0.0.1:${served}`],
      [/10\.0\.0\.12:8080/, `127.0.0.2:${served}`],
    ])
    writeFileSync(join(folder, 'haproxy.cfg'), config)
    const proxy = start(t, haproxy, ['-db', '-f', join(folder, 'haproxy.cfg')], { descriptors: [listening.fd] })
    const shows = (server: string, status: RegExp) =>
      until(
        `${server} is ${status}`,
        async () => status.test((await statuses(stats).catch(() => ({ [server]: '' })))[server] ?? ''),
        30_000,
      ).catch((error: Error) => assert.fail(`${error.message}\n${proxy.said()}\n${one.said()}\n${two.said()}`))
    await Promise.all([shows('one', /^UP/), shows('two', /^UP/)])

    const { failures, stop, ...clients } = counted(load(t, front, 20))
    const more = (what: string, count = 150) => {
      const from = clients.answered()
      return until(
        `${what}: ${count} more answers`,
        () => clients.answered() >= from + count || failures.length > 0,
        30_000,
      )
    }
    await more('both serve')
    one.child.kill('SIGUSR2')
    await one.line(/reloaded: generation 2/)
    await more('one is reloaded')
    const orphans = await workersOf('127.0.0.2', admin)
    two.child.kill('SIGKILL')
    await shows('two', /^DOWN/)
    await more('two is gone')
    await until('the workers of two have ended', () => !orphans.some(isAlive))
    const again = await machine(t, '127.0.0.2', ports)
    await shows('two', /^UP/)
    await more('two is back')
    again.child.kill('SIGUSR2')
    await again.line(/reloaded: generation 2/)
    await more('two is reloaded')
    again.child.kill('SIGTERM')
    assert.equal(await again.exited, 0)
    await more('two has drained')
    await stop()
    assert.deepEqual(failures, [])
    t.diagnostic(`${clients.answered()} answers`)
  },
)

/** The same, with the count as a call. */
function counted(of: ReturnType<typeof load>) {
  return { failures: of.failures, stop: of.stop, answered: () => of.answered }
}
