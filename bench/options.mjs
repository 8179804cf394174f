/** What the command lines of benchmarks have in common. */

/** A whole number among options that were parsed. @throws {RangeError} naming the option */
export function whole(options, name) {
  if (/^[1-9]\d{0,4}$/.test(options[name])) return Number(options[name])
  throw new RangeError(`--${name} takes a whole number from 1, not ${options[name]}`)
}

/** Which of these parts are to be measured. @throws {RangeError} naming the one that is not there */
export function chosen(only, parts) {
  const names = only.split(',')
  const unknown = names.find((name) => !parts.includes(name))
  if (unknown === undefined) return names
  throw new RangeError(`--only takes ${parts.join(', ')}, with commas between, not ${unknown}`)
}

/** Aborted by a signal that is to end this process. */
export function interruption() {
  const controller = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => controller.abort(new Error(signal)))
  return controller.signal
}
