/** A signal that interrupts a call is never the caller's to see. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import test from 'node:test'
import { fixture, scratch } from '../support/paths.js'

test('interrupted calls are made again, and a connect that was interrupted goes on', (t) => {
  if (process.platform !== 'linux') return t.skip('preloading is done otherwise here')
  const library = join(scratch(t), 'interrupts.so')
  const built = spawnSync('cc', ['-shared', '-fPIC', '-o', library, fixture('interrupts.c'), '-ldl'], {
    encoding: 'utf8',
  })
  if (built.error !== undefined) return t.skip('there is no C compiler')
  assert.equal(built.status, 0, built.stderr)
  // Whatever else is preloaded (a sanitizer, which has to come first) stays.
  const preloaded = [process.env.LD_PRELOAD, library].filter(Boolean).join(' ')
  const env = { ...process.env, LD_PRELOAD: preloaded }
  const options = { encoding: 'utf8', env, timeout: 20_000, killSignal: 'SIGKILL' } as const
  const { stdout, stderr, status } = spawnSync(process.execPath, [fixture('interrupted.mjs')], options)
  assert.equal(status, 0, stderr)
  assert.deepEqual(JSON.parse(stdout), new Array(36).fill('1111'))
  for (const name of ['sendmsg', 'recvmsg', 'sendmmsg', 'recvmmsg', 'accept4', 'connect']) {
    assert.equal(stderr.match(new RegExp(`^interrupted ${name}$`, 'gm'))?.length, 3, name)
  }
})
