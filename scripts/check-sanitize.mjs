// The whole test suite with the addon under AddressSanitizer and UndefinedBehaviorSanitizer, in a copy of the package
// (build/sanitize/), so that the normal build stays as it is. Every process of every test is watched: one that has
// something to report leaves a file, also where the test expects that process to die.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { run } from './run.mjs'

const folder = resolve('build/sanitize')
const reports = join(folder, 'build/reports')
/** Not part of the copy: large, or made anew. */
const LEFT_OUT = ['.git', 'build', 'node_modules', 'prebuilds']

/** The compiler's own runtime, first in every process: Node itself is not built with it. */
function runtime(name) {
  const { stdout, error } = spawnSync('gcc', [`-print-file-name=${name}`], { encoding: 'utf8' })
  const path = stdout?.trim() ?? ''
  if (error || !existsSync(path)) {
    console.error(`${name} is missing: install gcc with its sanitizers (on Debian: apt-get install gcc g++)`)
    process.exit(1)
  }
  return path
}

const libasan = runtime('libasan.so')

rmSync(folder, { recursive: true, force: true })
mkdirSync(reports, { recursive: true })
for (const name of readdirSync('.')) {
  if (LEFT_OUT.includes(name)) continue
  cpSync(name, join(folder, name), { recursive: true, filter: (from) => basename(from) !== 'build' })
}
symlinkSync(resolve('node_modules'), join(folder, 'node_modules'))
run('npx', ['node-gyp', 'rebuild', '-C', join(folder, 'native'), '--silent', '--sanitize=1'], {
  env: { ...process.env, CC: 'gcc', CXX: 'g++' },
})
const addon = readFileSync(join(folder, 'native/build/Release/handover.node'))
for (const symbol of ['__asan_report_', '__ubsan_handle_']) {
  if (!addon.includes(symbol)) throw new Error(`the addon was not built with the sanitizers: it has no ${symbol}…`)
}

const tests = readdirSync(join(folder, 'dist/test'), { recursive: true })
  .filter((name) => name.endsWith('.test.js'))
  .map((name) => join('dist/test', name))
const chosen = process.argv.length > 2 ? process.argv.slice(2) : tests
const env = {
  ...process.env,
  LD_PRELOAD: libasan,
  // No search for leaks: Node leaves most of its memory to the end of the process on purpose, and would be all there is
  // to read. Descriptors that leak are found by the tests themselves.
  ASAN_OPTIONS: `detect_leaks=0:handle_abort=1:log_path=${join(reports, 'report')}`,
  // Beside AddressSanitizer, gcc's other runtime writes to standard error alone, which a test may swallow, and sets the
  // path of both: it aborts, and the abort is what leaves a report, with the line at fault in its stack.
  UBSAN_OPTIONS: `halt_on_error=1:abort_on_error=1:print_stacktrace=1:log_path=${join(reports, 'report')}`,
}
// Several times as slow as without, and Node 20 counts a whole file, not a test. What failed is said again at the end.
const args = ['--test', '--test-concurrency=3', '--test-timeout=480000', '--test-reporter=spec', ...chosen]
console.log(
  `> cd ${folder} && LD_PRELOAD=${libasan} node ${chosen === tests ? `${args.slice(0, 3).join(' ')} …` : args.join(' ')}`,
)
const { status } = spawnSync(process.execPath, args, { cwd: folder, env, stdio: 'inherit' })
const found = readdirSync(reports)
for (const name of found) console.error(readFileSync(join(reports, name), 'utf8'))
if (found.length > 0) console.error(`${found.length} processes reported errors, see above`)
process.exitCode = status === 0 && found.length === 0 ? 0 : 1
