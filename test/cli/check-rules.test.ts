import assert from 'node:assert/strict'
import test from 'node:test'
import { type Facts, listeningIn } from '../../src/cli/check/facts.js'
import { places } from '../../src/cli/check/places.js'
import { resources } from '../../src/cli/check/resources.js'
import type { Values } from '../../src/config/schema.js'
import type { Settled } from '../../src/config/settle.js'
import type { SupervisorOptions } from '../../src/supervisor/options.js'

const GB = 1024 ** 3
const machine: Facts = {
  node: '22.18.0',
  platform: 'linux',
  descriptors: { soft: 65_536, hard: 65_536 },
  processors: 4,
  quota: null,
  memory: { bytes: 4 * GB, from: 'control group' },
  somaxconn: 4_096,
  firstFreePort: 1_024,
  mayBindAny: false,
  listening: new Set(),
  notifySocket: null,
  passed: 0,
}

function found(values: Values, facts: Partial<Facts> = {}, supervisor: SupervisorOptions = {}): string[] {
  const settled: Settled = { asked: { flags: {}, cwd: '/' }, path: null, values, from: new Map(), supervisor }
  const all = [...resources(settled, { ...machine, ...facts }), ...places(settled, { ...machine, ...facts })]
  return all.filter(({ level }) => level !== 'ok').map(({ level, about, text }) => `${level} ${about}: ${text}`)
}

test('a machine that has all of it gives no warning', () => {
  assert.deepEqual(found({ workers: 4, maxMemory: GB / 2, backlog: 4_096 }), [])
})

const rules: [rule: string, values: Values, facts: Partial<Facts>, text: RegExp][] = [
  ['more workers than processors', { workers: 5 }, {}, /^warning processors: 5 workers, and 4 processors/],
  [
    'more workers than the control group has time for',
    { workers: 2 },
    { quota: 1 },
    /2 workers, and time for 1 processors \(cpu\.max\)/,
  ],
  [
    'limits of memory that are more than there is',
    { workers: 3, maxMemory: 2 * GB },
    {},
    /^warning memory: 3 × maxMemory 2gb are more than 4gb \(control group\)/,
  ],
  [
    'limits of memory that leave no room for a reload',
    { workers: 3, maxMemory: GB },
    {},
    /fit in 4gb \(control group\), but not twice/,
  ],
  [
    'a backlog that the kernel cuts',
    { backlog: 8_192 },
    {},
    /^warning backlog: 8192 is cut to net\.core\.somaxconn, 4096/,
  ],
  ['a release of Node that is too old', {}, { node: '18.20.0' }, /^system node: Node 18\.20\.0 is too old/],
  [
    'a soft limit below what is asked',
    { maxConnections: 5_000 },
    { descriptors: { soft: 1_024, hard: 4_096 } },
    /descriptor limit 1024 is low \(soft limit; hard 4096\): maxConnections 5000/,
  ],
]

for (const [rule, values, facts, text] of rules) {
  test(`${rule} is told`, () => {
    const [only, ...more] = found(values, facts)
    assert.match(only ?? '', text)
    assert.deepEqual(more, [])
  })
}

test('a privileged port is refused to whom has no right to it, and only to them', () => {
  const listen = [{ port: 443 }]
  assert.match(found({}, {}, { listen })[0] ?? '', /^system port: 443 is below 1024: this user may not listen there/)
  assert.deepEqual(found({}, { mayBindAny: true }, { listen }), [])
})

test('ports that listen are those of the table in state 0A', () => {
  const table = `  sl  local_address rem_address   st tx_queue
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000
   1: 0100007F:0050 0100007F:C000 01 00000000:00000000
   2: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A 0`
  assert.deepEqual(listeningIn(table), [8_080, 443])
})
