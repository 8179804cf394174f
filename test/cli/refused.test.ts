/** What is refused: in one line, with the exit code of its class, and nothing is started or changed. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import test from 'node:test'
import { fixture, scratch } from '../support/paths.js'
import { done, started } from '../support/steered.js'

const unusable: [what: string, args: (folder: string) => string[], code: number, message: RegExp][] = [
  [
    'a path too long',
    (folder) => ['--control', join(folder, 'x'.repeat(110))],
    100,
    /at most \d+ bytes.*a shorter one/,
  ],
  ['a folder that is not there', (folder) => ['--control', join(folder, 'no/x')], 111, /no such folder.*--no-control/],
  ['a folder', (folder) => ['--control', folder], 111, /no control socket at \S+: it is a folder; name another path/],
  [
    'a file that is no socket',
    () => ['--control', fixture('http-pid.mjs')],
    111,
    /a file that is no socket is there; name another path/,
  ],
  [
    'a working folder that is not there',
    (folder) => ['--cwd', join(folder, 'no')],
    100,
    /there is no folder \S+no: check the path of cwd$/m,
  ],
  ['a name that is none', () => ['--name', '../x'], 100, /--name: 1 to 64 letters/],
]
for (const [what, args, code, message] of unusable) {
  test(`run with ${what}: one line, exit code ${code}, nothing started`, async (t) => {
    const ran = await done(t, 'run', ...args(scratch(t)), fixture('http-pid.mjs'))
    assert.equal(ran.code, code)
    assert.match(ran.err, message)
    assert.equal(ran.err.trim().split('\n').length, 1)
    assert.equal(ran.out, '')
  })
}

const usage: [args: string[], message: RegExp][] = [
  [['scale'], /missing required argument 'n'/],
  [['scale', 'many'], /whole number from 1 to 1024/],
  [['drain', '0'], /whole number from 1/],
  [['reload', '--env', 'A'], /It takes NAME=VALUE/],
  [['reload', '--script', 'none.mjs'], /there is no script none\.mjs/],
  [['reload', '--cwd', 'none.mjs'], /there is no folder \S+none\.mjs: check the path of cwd/],
  [['reload', '--timeout', '0'], /'--timeout <seconds>' argument '0' is invalid\. It takes a whole number from 1/],
  [['logs', '--worker', '7', '--name', 'http-pid'], /worker: there is no worker 7; there are 1$/m],
  [
    ['run', '--admin', 'foo', 'server.js'],
    /'foo' is invalid. It takes \[host:\]port, such as 9100, 127\.0\.0\.1:9100 or \[::1\]:9100\.$/m,
  ],
  [['restart'], /unknown command 'restart': here it is `handover reload`$/m],
  [['start', 'server.js'], /unknown command 'start': here it is `handover run`$/m],
  [['ls'], /unknown command 'ls': here it is `handover list`$/m],
  [['status', '--name', '../x'], /--name: 1 to 64/],
  [['top', '--interval', '0'], /whole number from 1/],
  [['completion', 'cmd'], /Allowed choices are bash, zsh, fish/],
]
for (const [args, message] of usage) {
  test(`\`${args.join(' ')}\` is bad usage: exit code 100`, async (t) => {
    if (args.includes('none.mjs') || args.includes('http-pid')) await started(t)
    const { code, err } = await done(t, ...args)
    assert.equal(code, 100, err)
    assert.match(err, message)
    assert.doesNotMatch(err, /^\s+at /m)
  })
}
