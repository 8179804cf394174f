/** Medians, spreads, and tables of them in Markdown. */

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

export function spread(values) {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) }
}

/** `12.3 (11.0–14.1)` */
export function cell({ median, min, max }, digits = 0) {
  const [middle, least, most] = [median, min, max].map((value) => number(value, digits))
  return `${middle} (${least}–${most})`
}

function number(value, digits) {
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

/** The first column to the left, the others to the right, padded so that the source reads as a table too. */
export function table(head, rows) {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].length)))
  const line = (cells) =>
    `| ${cells.map((text, i) => (i ? text.padStart(widths[i]) : text.padEnd(widths[i]))).join(' | ')} |`
  const rule = `|${widths.map((width, i) => (i ? `${'-'.repeat(width + 1)}:` : '-'.repeat(width + 2))).join('|')}|`
  return [line(head), rule, ...rows.map(line)].join('\n')
}

/** The contenders in another order each round: nobody always comes first, or behind the same other. */
export function rotated(list, round) {
  const by = round % list.length
  return [...list.slice(by), ...list.slice(0, by)]
}
