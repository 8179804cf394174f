import assert from 'node:assert/strict'
import test from 'node:test'
import type { Files } from '../../src/cli/logs/files.js'
import { LogFile, type LogFileOwner } from '../../src/cli/logs/log-file.js'
import { LOG_QUEUE_MAX, LOG_RETRY } from '../../src/limits.js'
import { until } from '../support/wait.js'

/** A disk in memory: it takes as many bytes as it has room for, and holds each write until it is let go. */
class Disk implements Files {
  /** What was written to each file that was opened, in order. */
  files: string[] = []
  closed: number[] = []
  room = Number.POSITIVE_INFINITY
  /** There is no folder for a file that is opened. */
  gone = false
  held: (() => void)[] | null = null

  async open(): Promise<number> {
    if (this.gone) throw Object.assign(new Error('ENOENT: no such file or directory, open'), { code: 'ENOENT' })
    return this.files.push('') - 1
  }

  async write(descriptor: number, bytes: Uint8Array): Promise<number> {
    if (this.held !== null) await new Promise<void>((go) => this.held?.push(go))
    if (this.room === 0) throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
    const taken = Math.min(bytes.length, this.room)
    this.room -= taken
    this.files[descriptor] += Buffer.from(bytes.subarray(0, taken)).toString()
    return taken
  }

  async close(descriptor: number): Promise<void> {
    this.closed.push(descriptor)
  }
}

function logged(disk: Disk): { file: LogFile; heard: string[] } {
  const heard: string[] = []
  const owner: LogFileOwner = {
    failed: (_path, error) => heard.push(error.message),
    recovered: (_path, dropped) => heard.push(`recovered ${dropped}`),
  }
  return { file: new LogFile('x.log', owner, disk), heard }
}

test('lines are written whole and in order, whatever each write takes', async () => {
  const disk = new Disk()
  const write = disk.write.bind(disk)
  disk.write = (descriptor, bytes) => write(descriptor, bytes.subarray(0, 3))
  const { file } = logged(disk)
  const lines = Array.from({ length: 50 }, (_, i) => `line ${i}`)
  for (const line of lines) file.write(line)
  await file.close()
  assert.equal(disk.files.join(), `${lines.join('\n')}\n`)
  assert.deepEqual(disk.closed, [0], 'closed once')
})

test('a slow disk: what has no room is dropped and counted in its place, memory stays bounded', async () => {
  const disk = new Disk()
  disk.held = []
  const { file } = logged(disk)
  const line = 'x'.repeat(1023)
  for (let i = 0; i < LOG_QUEUE_MAX / 1024 + 7; i++) file.write(line)
  await until('a write waits', () => disk.held?.length === 1)
  const [go] = disk.held
  disk.held = null
  go?.()
  await until('all is written', () => disk.files[0]?.endsWith('dropped here\n') === true)
  file.write('after')
  await file.close()
  const all = disk.files[0]?.split('\n') ?? []
  assert.equal(all.filter((one) => one === line).length, LOG_QUEUE_MAX / 1024)
  assert.match(all.at(-3) ?? '', / handover 7 lines were dropped here$/)
  assert.equal(all.at(-2), 'after')
})

test('a full disk is told once, tried again later, and the line that was cut is finished', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const disk = new Disk()
  disk.room = 8
  const { file, heard } = logged(disk)
  file.write('first')
  file.write('second')
  await until('it is full', () => heard.length === 1)
  file.write('third')
  disk.room = 0
  t.mock.timers.tick(LOG_RETRY)
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(heard, ['ENOSPC: no space left on device, write'], 'once')
  disk.room = 1000
  await until('it is written again', () => {
    t.mock.timers.tick(LOG_RETRY)
    return heard.length === 2
  })
  t.mock.timers.reset()
  await file.close()
  assert.deepEqual([disk.files, heard[1]], [['first\nsecond\nthird\n'], 'recovered 0'])
})

test('a new file begins with a whole line, even if the disk was full in the middle of it', async () => {
  const disk = new Disk()
  disk.room = 8
  const { file, heard } = logged(disk)
  file.write('first')
  file.write('second')
  await until('it is full', () => heard.length === 1)
  disk.room = 1000
  file.reopen()
  await file.close()
  assert.deepEqual(disk.files, ['first\nse', 'second\n'])
  assert.deepEqual(disk.closed, [0, 1])
})

test('closing while the disk is full does not wait for room', async () => {
  const disk = new Disk()
  disk.room = 0
  const { file, heard } = logged(disk)
  file.write('lost')
  await until('it is full', () => heard.length === 1)
  await file.close()
  assert.deepEqual(disk.closed, [0])
})

test('a new file that cannot be opened is tried again, and nothing goes into the one before meanwhile', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const disk = new Disk()
  const { file, heard } = logged(disk)
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  file.write('before')
  await until('it is written', () => disk.files[0] === 'before\n')
  disk.gone = true
  file.reopen()
  await until('it is told', () => heard.length === 1)
  file.write('meanwhile')
  t.mock.timers.tick(LOG_RETRY)
  await turn()
  assert.deepEqual([disk.files, heard.length], [['before\n'], 1], 'tried again, told once')
  disk.gone = false
  await until('it is written again', () => {
    t.mock.timers.tick(LOG_RETRY)
    return heard.length === 2
  })
  t.mock.timers.reset()
  await file.close()
  assert.deepEqual(disk.files, ['before\n', 'meanwhile\n'])
  assert.deepEqual([disk.closed, heard[1]], [[0, 1], 'recovered 0'])
})

test('a new file that could not be opened while there was nothing to write takes what comes later', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const disk = new Disk()
  const { file, heard } = logged(disk)
  disk.gone = true
  file.reopen()
  await until('it is told', () => heard.length === 1)
  disk.gone = false
  await until('it is open', () => {
    t.mock.timers.tick(LOG_RETRY)
    return heard.length === 2
  })
  t.mock.timers.reset()
  file.write('later')
  await file.close()
  assert.deepEqual([disk.files, heard[1]], [['later\n'], 'recovered 0'])
})
