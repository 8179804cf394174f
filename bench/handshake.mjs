/**
 * Connections that are looked at before they are handed over: `npm run bench:handshake`.
 *
 * What looking costs beside immediate dispatch, and beside proxies that look at the same and then carry every byte; what
 * a front has to do with a long download; how long ordinary clients wait while others mean no good. Contenders run at
 * once and are measured in turn, as in run.mjs; ratios are taken within a round.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, release, tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import { compiled, root } from './compile.mjs'
import { stopAll } from './contenders.mjs'
import { connectionsText, measureConnections, ratiosOf } from './handshake/connections.mjs'
import { downloadsText, measureDownloads } from './handshake/downloads.mjs'
import { makeCertificate, overHttp, overTls, underAttack } from './handshake/fronts.mjs'
import { hostileText, measureHostile } from './handshake/hostile.mjs'
import { chosen, interruption, whole } from './options.mjs'
import { needWrk } from './wrk.mjs'

const PARTS = ['http', 'tls', 'downloads', 'hostile']

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    mebibytes: { type: 'string', default: '512' },
    only: { type: 'string', default: PARTS.join(',') },
  },
})
const interrupted = interruption()
const how = {
  rounds: whole(options, 'rounds'),
  seconds: whole(options, 'seconds'),
  mebibytes: whole(options, 'mebibytes'),
  signal: interrupted,
}
const only = chosen(options.only, PARTS)

function need(program) {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' })
  } catch (error) {
    if (error.code === 'ENOENT')
      throw new Error(`${program} is missing: install it with \`apt-get install ${program}\``)
  }
}

/** One part after the other, with nothing else running. */
async function measureAll(scratch) {
  const parts = {}
  if (only.includes('http')) {
    const measured = await measureConnections(await overHttp(), 'http', how)
    parts.http = { measured, ratios: ratiosOf(measured) }
    await stopAll()
  }
  if (only.includes('tls') || only.includes('downloads')) {
    const { short, long } = await overTls(scratch)
    if (only.includes('tls')) {
      const measured = await measureConnections(short, 'https', how)
      parts.tls = { measured, ratios: ratiosOf(measured) }
    }
    if (only.includes('downloads')) parts.downloads = await measureDownloads(long, how)
    await stopAll()
  }
  if (only.includes('hostile')) parts.hostile = await measureHostile(await underAttack(), how)
  return parts
}

function report({ http, tls, downloads, hostile }) {
  const title = (text) => console.log(`## ${text}\n`)
  const { rounds, seconds, mebibytes } = how
  const times = `${rounds} rounds of ${seconds} s`
  console.log(
    `Node ${process.version}, Linux ${release()}, ${cpus().length} cores. Medians (min–max) over the rounds.\n`,
  )
  if (http !== undefined) {
    title(`Short connections over HTTP, routed by host: ${times}`)
    console.log(connectionsText(http.measured, http.ratios))
  }
  if (tls !== undefined) {
    title(`Short connections over TLS, routed by name: ${times}`)
    console.log(connectionsText(tls.measured, tls.ratios))
  }
  if (downloads !== undefined) {
    title(`Downloads over TLS, routed by name: ${rounds} rounds`)
    console.log(downloadsText(downloads, mebibytes))
  }
  if (hostile !== undefined) {
    title(`Ordinary requests among hostile clients: ${times}`)
    console.log(hostileText(hostile))
  }
}

async function main() {
  for (const program of ['openssl', 'curl']) need(program)
  needWrk()
  compiled('probe')
  const scratch = mkdtempSync(`${tmpdir()}/handover-bench-`)
  let parts
  try {
    makeCertificate(scratch)
    parts = await measureAll(scratch)
  } finally {
    await stopAll()
    rmSync(scratch, { recursive: true })
  }
  report(parts)
  const machine = { node: process.version, kernel: release(), cores: cpus().length, cpu: cpus()[0]?.model ?? '' }
  mkdirSync(`${root}build`, { recursive: true })
  const { rounds, seconds, mebibytes } = how
  const json = { machine, rounds, seconds, mebibytes, ...parts }
  writeFileSync(`${root}build/bench-handshake.json`, `${JSON.stringify(json, null, 2)}\n`)
  const all = Object.values(parts).flatMap(({ measured, watched = {} }) => [
    ...Object.values(measured).flat(),
    ...Object.values(watched),
  ])
  const errors = all.reduce((sum, one) => sum + one.errors, 0)
  if (errors > 0) throw new Error(`${errors} requests failed: the figures do not count`)
}

main().catch((error) => {
  console.error(interrupted.aborted ? 'interrupted' : error.message)
  process.exitCode = 1
})
