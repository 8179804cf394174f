/** A terminal as it is drawn on. */
interface Terminal {
  readonly columns?: number
  readonly rows?: number
  write(text: string): unknown
}

/** Its size. One that does not know it says 0 (a serial line, `docker exec` of some releases): 80 columns and 24 rows then. */
export function sizeOf({ columns, rows }: Pick<Terminal, 'columns' | 'rows'>): { columns: number; rows: number } {
  return { columns: columns || 80, rows: rows || 24 }
}

/** The same terminal, to whoever believes what it says of its size. Borrows it. */
export function sized(terminal: Terminal): NodeJS.WritableStream {
  const same = {
    get columns() {
      return sizeOf(terminal).columns
    },
    get rows() {
      return sizeOf(terminal).rows
    },
    write: (text: string) => terminal.write(text),
  }
  return same as unknown as NodeJS.WritableStream
}
