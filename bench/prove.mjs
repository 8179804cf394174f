// The same proof for handover, PM2 and node:cluster: one program, one load, a table for README and RESULTS.md.
//
//   npm run bench:prove [-- --reloads 20 --kills 10 --clients 200 --seconds 60]
//
// PM2 is installed into build/peers when it is not there. Each runs alone, one after the other.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import { run } from '../scripts/run.mjs'

const PM2 = 'pm2@7'
const folder = resolve('build/peers/pm2')
const bin = join(folder, 'node_modules/.bin')
const command = built('cli/bin.js')

if (!existsSync(join(bin, 'pm2'))) {
  mkdirSync(folder, { recursive: true })
  run('npm', ['install', '--prefix', folder, '--no-save', '--no-audit', '--no-fund', '--silent', PM2])
}
const { version } = JSON.parse(readFileSync(join(folder, 'node_modules/pm2/package.json'), 'utf8'))

const given = process.argv.slice(2)
const contenders = [
  ['handover, dispatch', []],
  ['handover, share', ['--mode', 'share']],
  ['handover, reuseport', ['--mode', 'reuseport']],
  [`PM2 ${version}, cluster mode`, ['--preset', 'pm2']],
  ['node:cluster, rolling restart', ['--preset', 'cluster']],
]

const rows = []
for (const [name, words] of contenders) {
  console.log(`> ${name}`)
  const report = prove(words)
  if (report === null) continue
  rows.push(row(name, report))
  if (name.startsWith('handover') && report.excluded > 0) process.exitCode = 1
}

console.log(`
Node ${process.version}, two workers; ${given.join(' ') || '20 reloads, 10 kills, 200 clients'}.

| | asked | refused | reset | idle-close race | cut | hung | lost in reloads | lost with killed workers | lost otherwise | long-lived cut in reloads | longest pause, reload |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
${rows.join('\n')}
`)

/** @returns the account; null: it cannot be done here, which is said */
function prove(words) {
  const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` }
  const { stdout, stderr, status } = spawnSync(process.execPath, [command, 'prove', '--json', ...words, ...given], {
    env,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  })
  if (stdout !== '') return JSON.parse(stdout)
  console.log(`left out (${status}): ${stderr.trim().split('\n')[0]}`)
  return null
}

function row(name, { asked, all, phases, allowed, excluded, verdicts }) {
  const { refused, reset, race, cut, hung } = all.counts
  const during = verdicts.filter(({ loss }) => loss.phase === 'reloads')
  const lived = during.filter(({ loss }) => loss.kind === 'connection').length
  const requests = during.length - lived
  const pause = phases.reloads === undefined ? '-' : `${phases.reloads.longestPause.toFixed(0)} ms`
  const cells = [asked, refused, reset, race, cut, hung, requests, allowed, excluded - during.length, lived, pause]
  return `| ${name} | ${cells.join(' | ')} |`
}
