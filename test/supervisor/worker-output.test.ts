/** What workers write comes as lines, however it is cut, and whoever reads it in turn. */
import assert from 'node:assert/strict'
import net from 'node:net'
import test from 'node:test'
import { WorkerOutputs } from '../../src/supervisor/workers/worker-output.js'
import { socketpair } from '../../src/syscalls/socket.js'
import { noLeak } from '../support/descriptors.js'
import { until } from '../support/wait.js'

test('lines end with LF, CR LF or CR, wherever the bytes are cut', async (t) => {
  noLeak(t)
  const text = Buffer.from('one\nzwei é\r\n\ndrei\rvier\n€uro end')
  for (let cut = 0; cut <= text.length; cut++) {
    const [read, write] = socketpair()
    const lines: string[] = []
    const outputs = new WorkerOutputs((name, line) => lines.push(`${name} ${line}`))
    outputs.read('stdout', { descriptor: read, rest: text.subarray(0, cut).toString('base64') })
    const writer = new net.Socket({ fd: write })
    writer.end(text.subarray(cut))
    const expected = ['one', 'zwei é', '', 'drei', 'vier', '€uro end'].map((line) => `stdout ${line}`)
    await until(`all lines, cut at ${cut}`, () => lines.length === expected.length)
    assert.deepEqual(lines, expected)
    writer.destroy()
  }
})

test('what is held is not lost: it comes when reading goes on', async (t) => {
  noLeak(t)
  const [read, write] = socketpair()
  const lines: string[] = []
  const outputs = new WorkerOutputs((_, line) => lines.push(line))
  outputs.read('stderr', { descriptor: read, rest: '' })
  const writer = new net.Socket({ fd: write })
  t.after(() => writer.destroy())
  writer.write('half ')
  await until('it is read', () => {
    const { stderr } = outputs.hold()
    const held = Buffer.from(stderr?.rest ?? '', 'base64').toString()
    outputs.goOn()
    return held === 'half '
  })
  assert.equal(outputs.hold().stdout, null)
  writer.end('and half\n')
  outputs.goOn()
  await until('the line came', () => lines.length === 1)
  assert.deepEqual(lines, ['half and half'])
})
