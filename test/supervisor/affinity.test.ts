/** Workers run where they are told to, and the master where it did. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { errnoOf } from '../../src/errors.js'
import { Supervisor } from '../../src/index.js'
import { allowedProcessors, startedOn } from '../../src/syscalls/affinity.js'
import { fakeKernel } from '../support/fake-kernel.js'
import { fixture } from '../support/paths.js'
import { supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

const script = fixture('http-pid.mjs')
const options = { skip: process.platform !== 'linux' }

/** The processors that the kernel lets a process use: "0-2,5" as a list. */
function processorsOf(pid: number | 'self'): number[] {
  const text = /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? ''
  return text.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, index) => first + index)
  })
}

test('the list of allowed processors is the kernel’s', options, () => {
  assert.deepEqual(allowedProcessors(), processorsOf('self'))
})

test('`spread` gives each worker the next processor, round about, and its successor the same', options, async (t) => {
  const allowed = allowedProcessors()
  const app = await supervise(t, { script, workers: allowed.length + 1, affinity: 'spread' })
  const places = (): number[][] => app.pids().map(processorsOf)
  const expected = [...allowed, allowed[0] as number].map((one) => [one])
  assert.deepEqual(places(), expected)
  assert.deepEqual(allowedProcessors(), allowed, 'the master runs where it did')
  const [killed] = app.pids() as [number]
  process.kill(killed, 'SIGKILL')
  await until('another is there', () => {
    const ready = app.supervisor.status().workers.filter((one) => one.ready)
    return !app.pids().includes(killed) && ready.length === expected.length
  })
  assert.deepEqual(places(), expected)
  await app.supervisor.reload()
  assert.deepEqual(places(), expected)
})

test('a list says what each place gets', options, async (t) => {
  const allowed = allowedProcessors()
  const last = allowed.at(-1) as number
  const app = await supervise(t, { script, workers: 3, affinity: [[last], allowed] })
  assert.deepEqual(app.pids().map(processorsOf), [[last], allowed, [last]])
})

test('what cannot be is refused by name, and the master stays where it is', options, (t) => {
  const make =
    (affinity: unknown, threads = false) =>
    (): unknown =>
      new Supervisor({ script, threads, affinity: affinity as 'spread' })
  assert.throws(make('spread', true), /^TypeError: affinity: threads share the processors/)
  assert.throws(make('near'), /^TypeError: affinity: 'spread' or a list of lists, not the string "near"/)
  assert.throws(make([]), /^RangeError: affinity: at least one list/)
  assert.throws(make([[0], []]), /^RangeError: affinity\[1\]: at least one processor/)
  assert.throws(make([[8191]]), /^RangeError: affinity\[0\]: this process may not use processor 8191; it may use /)
  assert.throws(make([0]), /^TypeError: affinity\[0\]: a list of processors, not 0/)
  const allowed = allowedProcessors()
  assert.throws(() => startedOn([8191], () => assert.fail('it is not started')), { code: 'EINVAL' })
  const fails = (): never => {
    throw new Error('it cannot be started')
  }
  assert.throws(() => startedOn([allowed[0] as number], fails), /it cannot be started/)
  assert.deepEqual(allowedProcessors(), allowed)
  fakeKernel(t, { affinity: () => errnoOf('ENOSYS') })
  assert.throws(make('spread'), { code: 'ENOSYS', syscall: 'sched_getaffinity' })
})
