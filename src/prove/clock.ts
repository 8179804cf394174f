/** Milliseconds on a clock that all processes of this machine share (CLOCK_MONOTONIC); fractions down to nanoseconds. */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
