/** A column: its heading, and whether it stands to the right, as numbers do. */
export interface Column<Row> {
  heading: string
  right?: boolean
  /** Null: nothing is known. */
  text(row: Row): string | null
}

/** Rows under headings, two spaces apart; a column of which nothing is known is left out. */
export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string[] {
  const known = columns
    .map(({ heading, right = false, text }) => ({ heading, right, cells: rows.map((row) => text(row)) }))
    .filter(({ cells }) => cells.some((cell) => cell !== null))
    .map(({ heading, right, cells }) => ({ right, cells: [heading, ...cells.map((cell) => cell ?? '-')] }))
  const widths = known.map(({ cells }) => Math.max(...cells.map((cell) => cell.length)))
  return [null, ...rows].map((_, line) =>
    known
      .map(({ right, cells }, column) => {
        const cell = cells[line] as string
        const width = widths[column] as number
        return right ? cell.padStart(width) : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd(),
  )
}
