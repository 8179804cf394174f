/** How people write lengths of time and sizes, in the file and after options. */

const DURATION: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const SIZE: Readonly<Record<string, number>> = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 }
/** As PM2 and Docker have it. */
const SIZE_SHORT: Readonly<Record<string, number>> = { k: 1024, m: 1024 ** 2, g: 1024 ** 3 }

/** Seconds as a number, or a number with a unit: '250ms', '30s', '5m', '12h', '7d'. @returns milliseconds; null: neither */
export function duration(value: unknown): number | null {
  if (typeof value === 'number') return Number.isFinite(value) && value >= 0 ? Math.round(value * 1_000) : null
  return measured(value, DURATION)
}

/** Bytes as a number, or a number with a unit of 1024s: '64kb', '512mb', '2gb', or '512M'. @returns bytes; null: neither */
export function size(value: unknown): number | null {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? value : null
  return measured(value, { ...SIZE, ...SIZE_SHORT })
}

function measured(value: unknown, units: Readonly<Record<string, number>>): number | null {
  const parts = typeof value === 'string' ? /^(\d{1,12}(?:\.\d{1,9})?) ?([a-z]+)$/i.exec(value.trim()) : null
  const unit = Object.entries(units).find(([name]) => name === parts?.[2]?.toLowerCase())
  return parts === null || unit === undefined ? null : Math.round(Number(parts[1]) * unit[1])
}

/** Milliseconds as people write them, in the largest unit that is exact. */
export function durationText(milliseconds: number): string {
  const exact = Object.entries(DURATION).filter(([, unit]) => milliseconds >= unit && milliseconds % unit === 0)
  const [name, unit] = exact.at(-1) ?? ['s', 1_000]
  return `${milliseconds / unit}${name}`
}

/** Bytes as people write them, in the largest unit of which there is one, to a tenth. */
export function sizeText(bytes: number): string {
  const [name, unit] = Object.entries(SIZE).findLast(([, unit]) => bytes >= unit) ?? ['b', 1]
  return `${Math.round((bytes / unit) * 10) / 10}${name}`
}
