/** Signals and orders to stop that come while the process of the command is replaced are heeded by whoever goes on. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { pathToFileURL } from 'node:url'
import { ControlClient } from '../../src/control/client.js'
import { socketsIn } from '../../src/control/folder.js'
import { ask } from '../support/asked.js'
import { controlFolder, handover } from '../support/command.js'
import { notifyManager } from '../support/notify-manager.js'
import { root } from '../support/paths.js'
import { program } from '../support/programs.js'
import { service, statusOf } from '../support/services.js'
import { APP } from '../support/succession-clients.js'
import { isRunning } from '../support/successions.js'
import { until } from '../support/wait.js'

/** A manager that answers nobody who waits for it, until it is told to. */
function slowManager(t: TestContext): {
  address: string
  kept: Map<string, number>
  told: []
  pids: []
  answer(): void
} {
  const { address, take } = notifyManager(t)
  const unanswered: { close(): void }[] = []
  let answers = false
  const timer = setInterval(() => {
    for (let one = take(); one !== null; one = take())
      if (one.lines.includes('BARRIER=1')) unanswered.push(...one.descriptors)
    if (answers) for (const descriptor of unanswered.splice(0)) descriptor.close()
  }, 2)
  t.after(() => clearInterval(timer))
  const answer = (): void => {
    answers = true
  }
  return { address, kept: new Map(), told: [], pids: [], answer }
}

test('a stop that reaches the process which was just replaced is the new one’s', async (t) => {
  const manager = slowManager(t)
  const run = await service(t, { words: [], script: program(t, APP), manager })
  const old = run.child.pid as number
  const [{ path } = { path: '' }] = socketsIn([controlFolder(t)]) as { path: string }[]
  const client = await ControlClient.connect(path)
  t.after(() => client.close())
  const upgrade = handover(t, ['upgrade'])
  await run.line(/goes on with 2 workers/)
  const { pid: heir, workers } = await statusOf(t)
  assert.notEqual(heir, old)
  await assert.rejects(client.request('stop'), { code: 'ERR_HANDOVER_REPLACED' })
  assert.ok(isRunning(heir))
  process.kill(old, 'SIGTERM')
  await until('the new one has stopped', () => ![heir, ...workers.map(({ pid }) => pid)].some(isRunning))
  assert.ok(isRunning(old), 'its manager has not answered')
  manager.answer()
  assert.equal(await upgrade.ended, 0, upgrade.said())
  assert.equal(await run.ended, 0, run.said())
  assert.equal(run.said().match(/ stopped$/gm)?.length, 1, run.said())
})

/** The environment of a command whose successor gets a signal at a step of its taking over. */
function signalled(t: TestContext, when: 'before' | 'after', signal: NodeJS.Signals): NodeJS.ProcessEnv {
  const module = pathToFileURL(join(root, 'dist/lib/index.js')).href
  const send = `process.kill(process.pid, '${signal}')`
  const hook = program(
    t,
    `import { Supervisor } from '${module}'
const real = Supervisor.prototype.goOn
Supervisor.prototype.goOn = async function (channel) {
  ${when === 'before' ? `${send}\n  await new Promise((resolve) => setTimeout(resolve, 60_000))` : ''}
  const along = await real.call(this, channel)
  ${when === 'after' ? send : ''}
  return along
}
`,
  )
  return { NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --import=${pathToFileURL(hook).href}` }
}

test('a new process that is told to stop before it has everything ends, and the old one goes on', async (t) => {
  const run = await service(t, { words: [], script: program(t, APP), env: signalled(t, 'before', 'SIGTERM') })
  const upgrade = handover(t, ['upgrade'])
  assert.equal(await upgrade.ended, 1, upgrade.said())
  assert.equal((await statusOf(t)).pid, run.child.pid)
})

test('a new process that is told to stop in the moment in which it has everything stops it all', async (t) => {
  const run = await service(t, { words: [], script: program(t, APP), env: signalled(t, 'after', 'SIGTERM') })
  const { workers } = await statusOf(t)
  await handover(t, ['upgrade']).ended
  await run.line(/ stopped$/m)
  await until('its workers have ended', () => !workers.some(({ pid }) => isRunning(pid)))
})

test('a new process that is told to reload in the moment in which it has everything reloads', async (t) => {
  const run = await service(t, { words: [], script: program(t, APP), env: signalled(t, 'after', 'SIGUSR2') })
  const { pid } = await ask(t, 'upgrade')
  await run.line(/generation 2 has every/)
  assert.equal((await statusOf(t)).pid, pid)
})
