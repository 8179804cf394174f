/** A strict reader of what Prometheus reads. @see https://prometheus.io/docs/instrumenting/exposition_formats/ */
import assert from 'node:assert/strict'

export interface Family {
  kind: string
  help: string
  /** Values by their labels as they stand, '' for none. */
  values: Map<string, number>
}

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (\S+)$/

/** Fails at whatever Prometheus would refuse: lines out of order, unknown kinds, a metric or a set of labels twice. */
export function metricsOf(text: string): Map<string, Family> {
  assert.ok(text.endsWith('\n'), 'the last line has an end')
  const families = new Map<string, Family>()
  let current = ''
  for (const line of text.slice(0, -1).split('\n')) {
    if (line === '') continue
    const help = /^# HELP (\S+) (.+)$/.exec(line)
    const type = /^# TYPE (\S+) (counter|gauge)$/.exec(line)
    if (help !== null) {
      current = help[1] as string
      assert.ok(!families.has(current), `${current} twice`)
      families.set(current, { kind: '', help: help[2] as string, values: new Map() })
    } else if (type !== null) {
      assert.equal(type[1], current, 'its type follows its help')
      ;(families.get(current) as Family).kind = type[2] as string
    } else {
      const [, name, labels = '', value] = SAMPLE.exec(line) ?? assert.fail(`no sample: ${line}`)
      assert.equal(name, current, 'samples follow their type')
      const { values, kind } = families.get(current) as Family
      assert.ok(kind !== '' && !values.has(labels), line)
      assert.ok(value !== undefined && Number.isFinite(Number(value)), line)
      values.set(labels, Number(value))
    }
  }
  return families
}

/** The sum of a metric over those of its labels that match. */
export function sum(families: Map<string, Family>, name: string, labels = /(?:)/): number {
  const { values } = families.get(name) ?? assert.fail(`no metric ${name}`)
  return [...values].filter(([set]) => labels.test(set)).reduce((total, [, value]) => total + value, 0)
}
