// The fuzzers, each for a bounded time: that of the parsers of first bytes (fuzz/handshake.mjs, 20 seconds at most; with
// --seed=… the same inputs again), then that of native/control.c (fuzz/control.c): --seconds=30, or more. What the latter
// learns stays in build/fuzz/corpus/, so that the next run starts from there; fuzz/corpus/control/ is what every run
// starts from.
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { run } from './run.mjs'

const { values: options } = parseArgs({
  options: { seconds: { type: 'string', default: '30' }, seed: { type: 'string' } },
})
if (!/^[1-9]\d*$/.test(options.seconds)) {
  console.error(`--seconds: a whole number from 1, not ${options.seconds}`)
  process.exit(1)
}

run(process.execPath, [
  ...['fuzz/handshake.mjs', `--seconds=${Math.min(20, Number(options.seconds))}`],
  ...(options.seed === undefined ? [] : [`--seed=${options.seed}`]),
])

const { stdout: version, error } = spawnSync('clang', ['-dumpversion'], { encoding: 'utf8' })
if (error) {
  console.error(
    `clang is missing (${error.message}). The fuzzer needs it with its runtime; on Debian:\n` +
      '  apt-get install clang libclang-rt-14-dev   (14: the number that clang -dumpversion then says)',
  )
  process.exit(1)
}

const folder = 'build/fuzz'
const program = `${folder}/control`
mkdirSync(`${folder}/corpus`, { recursive: true })
process.on('exit', (code) => {
  if (code !== 0) console.error(failed)
})

const major = Number.parseInt(version, 10)
let failed = `The fuzzer was not built. If its runtime is missing, on Debian: apt-get install libclang-rt-${major}-dev`
run('clang', [
  ...['-std=gnu11', '-g', '-O1', '-Wall', '-Wextra', '-Werror', '-fno-omit-frame-pointer'],
  ...['-fsanitize=fuzzer,address,undefined', '-fno-sanitize-recover=all'],
  ...['-Inative', 'fuzz/control.c', 'native/control.c', '-o', program],
])

const finding = `${folder}/finding`
failed =
  'The fuzzer found something: a broken rule, or a report of a sanitizer, above. The input is kept; to see it again:\n' +
  `  ${program} ${finding}`
run(program, [
  ...[`-max_total_time=${options.seconds}`, '-timeout=5', '-max_len=4096', `-exact_artifact_path=${finding}`],
  ...['-verbosity=0', '-print_final_stats=1', `${folder}/corpus`, 'fuzz/corpus/control'],
])
console.log(`nothing found in ${options.seconds} seconds`)
