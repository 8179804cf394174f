/** What a successor wrote before it failed is told with the failure. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import test, { type TestContext } from 'node:test'
import type { Channel } from '../../src/channel/channel.js'
import type { HandoverError } from '../../src/errors.js'
import { HEIR_WORDS_MAX, LAST_LINE_LENGTH, LAST_LINES_MAX } from '../../src/limits.js'
import type { HandOverToOptions } from '../../src/supervisor/succession/hand-over-to.js'
import { startHeir } from '../../src/supervisor/succession/start-heir.js'
import { noLeak } from '../support/descriptors.js'
import { scratch } from '../support/paths.js'
import { program } from '../support/programs.js'

/** Hands over to whoever says hello, and waits for one more word, which means that all is well. */
const predecessor = {
  async handOverTo(channel: Channel, { abandon }: HandOverToOptions): Promise<void> {
    try {
      if ((await channel.receive()) === null) throw new Error('it has gone')
      channel.close()
    } catch (error) {
      channel.close()
      await abandon?.()
      throw error
    }
  },
}

/** A folder that temporary files go to while the test runs. */
function temporaryFolder(t: TestContext): string {
  const folder = scratch(t)
  const { TMPDIR: before } = process.env
  process.env.TMPDIR = folder
  t.after(() => {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
  })
  return folder
}

/** Starts a program as successor, which fails. @returns what it wrote last */
async function lastOutput(t: TestContext, source: string, name?: string): Promise<readonly string[]> {
  const args = [program(t, source, name)]
  const temporary = temporaryFolder(t)
  let output: readonly string[] = []
  await assert.rejects(startHeir(predecessor, { args, stdio: 'ignore' }), (error: HandoverError) => {
    assert.equal(error.code, 'ERR_HANDOVER_NOT_REPLACED')
    assert.match(error.message, /it ended with code 1\)/)
    output = error.output ?? []
    return true
  })
  assert.deepEqual(readdirSync(temporary), [], 'nothing is left of it')
  return output
}

const matching = (lines: readonly string[], pattern: RegExp): boolean => lines.some((line) => pattern.test(line))

for (const [what, source, pattern, name] of [
  [
    'what it wrote to standard error',
    `process.stderr.write('no such table\\n'); process.exitCode = 1`,
    /^no such table$/,
  ],
  [
    'what it wrote to standard output',
    `console.log('{"event":"failed"}'); process.exitCode = 1`,
    /^{"event":"failed"}$/,
  ],
  ['bytes', `process.stderr.write(Buffer.from('grün'), () => process.exit(1))`, /^grün$/],
  ['what it threw', `throw new Error('on purpose')`, /^Error: on purpose$/],
  ['what nobody caught', `Promise.reject(new Error('on purpose'))`, /^Error: on purpose$/],
  ['what it could not import', `await import('no-such-package')`, /Cannot find package 'no-such-package'/],
  ['what a static import lacks', `import 'no-such-package'`, /Cannot find package 'no-such-package'/],
  ['what CommonJS threw', `throw new Error('on purpose')`, /^Error: on purpose$/, 'app.cjs'],
] as const) {
  test(`a successor that fails is quoted: ${what}`, async (t) => {
    noLeak(t)
    const output = await lastOutput(t, source, name)
    assert.ok(matching(output, pattern), output.join('\n'))
  })
}

test('a successor that says nothing is not quoted', async (t) => {
  assert.deepEqual(await lastOutput(t, 'process.exitCode = 1'), [])
})

test('of much that a successor wrote the last lines are told, each cut to a length', async (t) => {
  const lines = Math.ceil((HEIR_WORDS_MAX * 2) / 100)
  const source = `for (let n = 0; n < ${lines}; n++) console.error('x'.repeat(100))
console.error('y'.repeat(${LAST_LINE_LENGTH * 2}))
process.exitCode = 1`
  const output = await lastOutput(t, source)
  assert.equal(output.length, LAST_LINES_MAX)
  assert.equal(output.at(-1), 'y'.repeat(LAST_LINE_LENGTH))
})

test('a successor finds Node’s options, its arguments and its environment as they were meant', async (t) => {
  const shown = `console.log(JSON.stringify([process.env.NODE_OPTIONS ?? null, process.execArgv, process.env.HANDOVER_LAST_WORDS ?? null]))
process.exitCode = 1`
  const before = process.env.NODE_OPTIONS
  assert.deepEqual(await lastOutput(t, shown), [JSON.stringify([before ?? null, [], null])])
})

test('a successor that takes over writes on, and nothing of it is kept', async (t) => {
  const index = new URL('../../src/index.js', import.meta.url).href
  const source = `import { inherited } from ${JSON.stringify(index)}
const channel = inherited()
await channel.send('ready')
await channel.receive()
console.log('goes on')
setInterval(() => console.log('goes on'), 10)
`
  const args = [program(t, source)]
  const temporary = temporaryFolder(t)
  const pid = await startHeir(predecessor, { args, stdio: 'ignore' })
  t.after(() => process.kill(pid, 'SIGKILL'))
  assert.deepEqual(readdirSync(temporary), [])
  process.kill(pid, 0)
})
