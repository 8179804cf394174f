// Every C file, with warnings as errors: the addon by a build of its own, the benchmark's programs by the compiler.
import { readdirSync } from 'node:fs'
import { run } from './run.mjs'

run('npx', ['node-gyp', 'rebuild', '-C', 'native', '--silent', '--werror=1'])
const programs = readdirSync('bench').filter((name) => name.endsWith('.c'))
for (const name of programs)
  run('cc', ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-fsyntax-only', `bench/${name}`])
