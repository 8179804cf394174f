import assert from 'node:assert/strict'
import test from 'node:test'
import { ConfigError } from '../../src/config/faults.js'
import { readConfig } from '../../src/config/read.js'

function faults(config: unknown): readonly string[] {
  try {
    readConfig(config, 'handover.config.json')
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.faults.map((fault) => fault.replace(/^handover\.config\.json: /, ''))
  }
  return []
}

const wrong: [rule: string, config: unknown, fault: RegExp][] = [
  ['a number as text', { maxTotal: '5' }, /^maxTotal: a whole number from 1 to 1000000000, not the string "5"$/],
  [
    'a number out of range',
    { workers: 0 },
    /^workers: a whole number from 1 to 1024, or 'max' for one per core, not 0$/,
  ],
  ['a key of a group', { groups: { api: { workers: 'few' } } }, /^groups\.api\.workers: .* not the string "few"$/],
  [
    'a place of a list',
    { distribution: [{ mode: 'share' }, { mode: 'q' }] },
    /^distribution\[1\]\.mode: 'dispatch' or 'share' or 'reuseport', not the string "q"$/,
  ],
  [
    'a text for several forms',
    { distribution: 'some' },
    /^distribution: 'dispatch' or 'share' or 'reuseport', or a list of objects with ports, mode, not the string "some"$/,
  ],
  ['an unknown key, with the one that was meant', { wrokers: 2 }, /^wrokers: no such key; did you mean workers\?$/],
  [
    'an unknown key inside',
    { readiness: { comand: ['x'] } },
    /^readiness\.comand: no such key; did you mean command\?$/,
  ],
  ['an unknown key that is like none', { zebra: 1 }, /^zebra: no such key; there are script, args, workers, /],
  [
    'milliseconds where seconds are meant',
    { heartbeat: 1000 },
    /^heartbeat: seconds, .* from 10ms to 1m, or false, not 1000$/,
  ],
  [
    'a key of an ecosystem file of PM2, with what stands for it here',
    { kill_timeout: 5000 },
    /^kill_timeout: no such key; in place of PM2's: `drainTimeout`, in seconds$/,
  ],
  [
    'environments of PM2',
    { env_production: {} },
    /^env_production: no such key; in place of PM2's: a configuration that is/,
  ],
  ['a length of time in another unit', { drainTimeout: '2 weeks' }, /^drainTimeout: .* not the string "2 weeks"$/],
  ['bytes where megabytes are meant', { maxMemory: 512 }, /^maxMemory: bytes, .* \('512mb'\), at least 16mb, not 512$/],
  ['a list where an object is', { groups: [] }, /^groups: an object with names as keys, not the list \[\]$/],
  ['an object where a list is', { args: { a: 1 } }, /^args: a list of texts, not an object \(Object\)$/],
  ['something that is left out', { agentCheck: {} }, /^agentCheck\.port: a whole number from 0 to 65535, not nothing$/],
  ['no object at all', 7, /^an object with script, args, .*, not 7$/],
]

for (const [rule, config, fault] of wrong) {
  test(`${rule}: the key, what may stand there, and what does`, () => {
    const [only, ...more] = faults(config)
    assert.match(only ?? '', fault)
    assert.deepEqual(more, [])
  })
}

test('several faults are all listed, a line each', () => {
  const all = faults({ workers: 'many', groups: { api: { scritp: 'x' } }, policy: 'fastest', threads: 1, nope: 2 })
  assert.deepEqual(
    all.map((fault) => fault.split(':')[0]),
    ['workers', 'groups.api.scritp', 'policy', 'threads', 'nope'],
  )
})

test('a secret is not in the fault', () => {
  const [fault] = faults({ admin: { port: 1, token: 'hunter2' } })
  assert.match(fault ?? '', /^admin\.token: at least 16 visible ASCII characters, not what is there$/)
})

test('lengths of time settle to milliseconds, sizes to bytes, short forms to long ones', () => {
  const values = readConfig(
    {
      drainTimeout: 30,
      healthWindow: '250ms',
      ticketRotation: '12h',
      heartbeat: false,
      maxMemory: '1.5gb',
      logs: 'l',
      admin: 80,
      watch: true,
    },
    'x',
  )
  assert.deepEqual(values, {
    drainTimeout: 30_000,
    healthWindow: 250,
    ticketRotation: 12 * 3_600_000,
    heartbeat: false,
    maxMemory: 1.5 * 1024 ** 3,
    logs: { folder: 'l' },
    admin: { port: 80 },
    watch: {},
  })
})

test('what is undefined is as if it were left out', () => {
  assert.deepEqual(faults({ workers: undefined, groups: { api: { script: undefined } } }), [])
})

test('sizes are told as elsewhere, with or without the b', () => {
  for (const maxMemory of ['300M', '300mb', '300 MB', 300 * 1024 ** 2]) {
    assert.equal(readConfig({ maxMemory }, 'handover.config.json').maxMemory, 300 * 1024 ** 2)
  }
})
