/** A server and its connections go from process to process, five times, while its clients go on asking. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import type net from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { get } from '../support/client.js'
import { type Command, command } from '../support/command.js'
import { noLeak } from '../support/descriptors.js'
import { fixture, root, scratch } from '../support/paths.js'
import { type ChannelPeer, soon, watched } from '../support/peers.js'
import { freePort } from '../support/programs.js'
import { until } from '../support/wait.js'

const AGENTS = 100
const TAKE_OVERS = 5

/** A client with one connection that is kept alive, which asks again and again. */
class Client {
  connections = 0
  answers = 0
  /** Who answered last. */
  pid = 0
  readonly failures: string[] = []
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  #stopped = false

  constructor(
    readonly id: number,
    readonly port: number,
  ) {
    const agent = this.#agent as unknown as { createConnection(...args: unknown[]): unknown }
    const { createConnection } = agent
    agent.createConnection = (...args) => {
      this.connections++
      return createConnection.apply(agent, args)
    }
  }

  async run(): Promise<void> {
    for (let turn = 0; !this.#stopped; turn++) {
      const path = `/${this.id}/${turn}`
      const size = turn % 3 === 0 ? ((turn * 977) % 40_000) + 1 : 0
      try {
        const body = await this.#ask(path, size)
        if (body === `${path} ${size}`) this.answers++
        else this.failures.push(`${path}: ${body}`)
      } catch (error) {
        this.failures.push(`${path}: ${error}`)
      }
      if (turn % 4 > 0) await delay((this.id * 13 + turn * 7) % 12)
    }
  }

  #ask(path: string, size: number): Promise<string> {
    return new Promise((resolve, reject) => {
      const method = size > 0 ? 'POST' : 'GET'
      const options = { host: '127.0.0.1', port: this.port, path, method, agent: this.#agent, timeout: 20_000 }
      const request = http.request(options, (response) => {
        let body = ''
        this.pid = Number(response.headers['x-pid'])
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text
        })
        response.on('end', () => resolve(body)).on('error', reject)
      })
      request.on('error', reject).on('timeout', () => request.destroy(new Error('no answer')))
      if (size === 0) return void request.end()
      const bytes = Buffer.alloc(size, 'x')
      request.write(bytes.subarray(0, size >> 1)) // the head leaves with half of the body
      setTimeout(() => request.end(bytes.subarray(size >> 1)), this.id % 5)
    })
  }

  stop(): void {
    this.#stopped = true
  }

  destroy(): void {
    this.#stopped = true
    this.#agent.destroy()
  }
}

function program(t: TestContext, name: string): ChannelPeer {
  return watched(t, spawn(process.execPath, [fixture('take-over.mjs'), name], { stdio: ['pipe', 'pipe', 'pipe'] }))
}

test('five take-overs in a row: no request fails, and no client ever connects anew', async (t) => {
  noLeak(t)
  const name = join(scratch(t), 'name')
  let serving = program(t, name)
  const { port } = await serving.hears<net.AddressInfo>('serves')
  const clients = Array.from({ length: AGENTS }, (_, id) => new Client(id, port))
  const running = clients.map((client) => client.run())
  let fresh = 0
  let goesOn = true
  const strangers = (async () => {
    while (goesOn) assert.equal((await get({ port }, `/${fresh++}`)).status, 200) // each on a connection of its own
  })()
  strangers.catch(() => {})
  t.after(() => {
    goesOn = false
    for (const client of clients) client.destroy()
  })
  const failures = (): string[] => clients.flatMap((client) => client.failures)

  for (let i = 0; i < TAKE_OVERS; i++) {
    const had = clients.map(({ answers }) => answers)
    await until('all are served', () =>
      clients.every(({ pid, answers }, id) => pid === serving.pid && answers > (had[id] as number)),
    ).catch((error) => assert.deepEqual(failures(), [], String(error)))
    await serving.hears('ready')
    const successor = program(t, name)
    await successor.hears('ready')
    assert.equal(await serving.ended, 0, serving.lines.join('\n'))
    const given = serving.said<{ moved: number }>('gave')[0]
    assert.equal(successor.said<number>('took')[0], given?.moved)
    assert.ok(given && given.moved >= AGENTS, `${given?.moved} connections came along`)
    assert.deepEqual([...serving.said('failed'), ...failures()], [])
    serving = successor
  }
  await until('the last serves all', () => clients.every(({ pid }) => pid === serving.pid))
  goesOn = false
  for (const client of clients) client.stop()
  await Promise.all([...running, strangers])
  assert.deepEqual(failures(), [])
  assert.deepEqual(
    clients.map(({ connections }) => connections),
    clients.map(() => 1),
    'connections of each client',
  )
  t.diagnostic(
    `${clients.reduce((sum, { answers }) => sum + answers, 0)} answers, ${fresh} on connections of their own`,
  )
})

test('who has taken a connection over waits for its request, and hands it on: examples/take-over.mjs', async (t) => {
  const name = join(scratch(t), 'name')
  const port = await freePort()
  const start = async (): Promise<Command> => {
    const one = command(t, process.execPath, [join(root, 'examples/take-over.mjs'), String(port), name])
    await one.line(/serves port/)
    return one
  }
  const first = await start()
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  t.after(() => agent.destroy())
  const ask = async (body?: Promise<void>): Promise<number> => {
    const method = body === undefined ? 'GET' : 'POST'
    const request = http.request({ host: '127.0.0.1', port, agent, method })
    const answered = once(request, 'response')
    if (body !== undefined) request.write('half')
    await body
    request.end()
    const [response] = (await answered) as [http.IncomingMessage]
    let text = ''
    for await (const piece of response) text += piece
    return Number.parseInt(text, 10)
  }
  assert.equal(await ask(), first.child.pid)
  const second = await start()
  await second.line(/has taken over 1 connections/)
  assert.equal(await ask(), second.child.pid)
  let finish = (): void => {}
  const uploading = ask(
    new Promise((resolve) => {
      finish = resolve
    }),
  )
  const third = await start() // while the request is under way at the second
  finish()
  assert.equal(await uploading, second.child.pid)
  await third.line(/has taken over 1 connections/)
  assert.equal(await ask(), third.child.pid)
  assert.equal(await soon(second.ended, 'the second has nothing left and ends'), 0)
})
