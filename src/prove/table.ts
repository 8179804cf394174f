import type { PhaseTally } from './ledger.js'
import { asked, KINDS } from './outcome.js'
import type { Report } from './prove.js'

/** Losses that are shown one by one. */
const SHOWN = 20

/** Outcomes as columns, each under the words that people read. */
const COLUMNS = [
  ['answered', 'answered'],
  ['refused', 'refused'],
  ['reset', 'reset'],
  ['race', 'idle-close race'],
  ['cut', 'cut'],
  ['hung', 'hung'],
  ['twice', 'twice'],
  ['wrong', 'wrong'],
] as const

/** The account, for people: a row a phase, what is allowed and what is not, and the first losses that are not. */
export function tableOf(report: Report): string {
  const { deeds, phases, all, kinds, own } = report
  const times = (name: string): string => {
    const count = deeds.filter(({ phase }) => phase === name).length
    return count === 0 ? name : `${count} ${count === 1 ? name.slice(0, -1) : name}`
  }
  const head = ['', 'asked', ...COLUMNS.map(([, words]) => words), 'p50 ms', 'p99 ms', 'longest pause ms']
  const rows = [
    ...['steady', 'reloads', 'kills', 'upgrades'].flatMap((name) => {
      const phase = phases[name]
      return phase === undefined ? [] : [rowOf(times(name), phase)]
    }),
    rowOf('all', all),
  ]
  const byKind = KINDS.flatMap((kind) => {
    const counts = kinds[kind]
    return asked(counts) === 0
      ? []
      : [[kind, String(asked(counts)), ...COLUMNS.map(([outcome]) => String(counts[outcome]))]]
  })
  const lines = [aligned([head, ...rows]), '']
  if (own) lines.push(aligned([['by kind', 'asked', ...COLUMNS.map(([, words]) => words)], ...byKind]), '')
  return [...lines, ...words(report)].join('\n')
}

function words(report: Report): string[] {
  const { allowed, excluded, untold, verdicts, connections, idleEnds, harnessLag, took, all } = report
  const lines = [
    `${report.asked} requests on ${connections} connections in ${(took / 1000).toFixed(1)} s, all accounted for; ${idleEnds} connections were ended while nothing was asked on them`,
    `lost with a killed worker, as its connections were its own: ${allowed}`,
    `lost though the guarantees exclude it: ${excluded}${untold === 0 ? '' : ` (${untold} of them not told one by one)`}`,
  ]
  if (all.counts.unsent > 0)
    lines.push(`not sent, as this machine had no port or descriptor left: ${all.counts.unsent}`)
  lines.push(`the harness itself was late by at most ${harnessLag.toFixed(0)} ms`)
  const bad = verdicts.filter(({ allowedBy }) => allowedBy === null)
  for (const { loss, why } of bad.slice(0, SHOWN)) {
    const { id, kind, outcome, phase, began, ended, detail } = loss
    lines.push(
      `  ${outcome}: ${kind} ${id} (${phase}), ${(ended - began).toFixed(0)} ms after it was asked: ${detail}; ${why}`,
    )
  }
  if (bad.length > SHOWN) lines.push(`  … and ${bad.length - SHOWN} more`)
  return lines
}

function rowOf(name: string, phase: PhaseTally): string[] {
  const { counts, p50, p99, longestPause } = phase
  const outcomes = COLUMNS.map(([outcome]) => String(counts[outcome]))
  return [name, String(asked(counts)), ...outcomes, shown(p50), shown(p99), shown(longestPause)]
}

function shown(milliseconds: number | null): string {
  if (milliseconds === null) return '-'
  return milliseconds < 10 ? milliseconds.toFixed(1) : milliseconds.toFixed(0)
}

/** The first column to the left, numbers to the right. */
function aligned(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
  return rows.map((row) => line(row).trimEnd()).join('\n')
}
