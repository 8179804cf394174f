/**
 * What one sendmsg and one recvmsg cost: `npm run bench:sendmsg`. handover/sendmsg, plain C and CPython in turn.
 *
 * One thread sends over a pair of UNIX stream sockets and receives what it sent. Each figure is that of a process of
 * its own, after a warm-up; ratios are taken within a round, as a machine's speed drifts.
 */
import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { argv } from 'node:process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { built, compiled, root } from './compile.mjs'
import { whole } from './options.mjs'
import { cell, rotated, spread, table } from './table.mjs'

const SELF = fileURLToPath(import.meta.url)
const PYTHON_SOURCE = `${root}bench/sendmsg.py`
const KIB = 1024
/** Messages between two looks at the clock. */
const LAP = 64

/** @returns the messages that are measured, with the most that handover / C may be */
function subjects() {
  const list = []
  for (const [size, bytes, most] of [
    ['64 B', 64, 1.5],
    ['64 KiB', 64 * KIB, 1.05],
  ]) {
    for (const descriptors of [0, 1]) {
      const what = descriptors === 0 ? size : `${size} + descriptor`
      list.push({ name: `${what}, recvmsgInto`, bytes, descriptors, memory: 'reused', most })
      list.push({ name: `${what}, recvmsg`, bytes, descriptors, memory: 'fresh', most })
    }
  }
  list.push({ name: '1 descriptor a message', bytes: 1, descriptors: 1, memory: 'reused', rate: true })
  list.push({ name: '253 descriptors a message', bytes: 1, descriptors: 253, memory: 'reused', rate: true })
  return list
}

/** Who runs a subject; C also with memory of its own for each message, as recvmsg gives, where that costs it much. */
const CONTENDERS = [
  { name: 'handover', command: () => [process.execPath, [SELF, '--contender']] },
  { name: 'C', command: () => [compiled('sendmsg'), []], memory: () => 'reused' },
  {
    name: 'C, malloc',
    command: () => [compiled('sendmsg'), []],
    runs: ({ bytes, memory }) => memory === 'fresh' && bytes >= KIB,
  },
  { name: 'CPython', command: () => ['python3', [PYTHON_SOURCE]] },
]

/** Handover's own part, in a process of its own: prints nanoseconds a message, as the programs beside it do. */
async function contend([bytes, descriptors, memory, milliseconds]) {
  const handover = await import(pathToFileURL(built('sendmsg/index.js')).href)
  const pair = pairOf(handover, Number(bytes), Number(descriptors), memory === 'fresh')
  timed(pair, Number(milliseconds) / 2)
  console.log(timed(pair, Number(milliseconds)).toFixed(1))
}

function timed(pair, milliseconds) {
  const start = performance.now()
  let count = 0
  let elapsed = 0
  do {
    for (let i = 0; i < LAP; i++) pair()
    count += LAP
    elapsed = performance.now() - start
  } while (elapsed < milliseconds)
  return (elapsed * 1e6) / count
}

/** One message there, and all of it back. A long one with descriptors takes two receives. */
function pairOf(handover, bytes, descriptors, fresh) {
  const { AF_INET, CMSG_SPACE, closeDescriptors, recvmsg, recvmsgInto, rights, sendmsg, socket, socketpair } = handover
  const [sender, receiver] = socketpair()
  const passed = new Array(descriptors).fill(socket(AF_INET).release())
  const outgoing = Buffer.alloc(bytes, 'x')
  const incoming = Buffer.alloc(bytes)
  const space = descriptors === 0 ? 0 : CMSG_SPACE(4 * descriptors)
  return () => {
    const sent = descriptors === 0 ? sendmsg(sender, outgoing) : sendmsg(sender, outgoing, [rights(passed)])
    if (sent !== bytes) throw new Error(`sendmsg took ${sent} bytes of ${bytes}`)
    let received = 0
    let came = 0
    while (received < bytes) {
      const message = fresh ? recvmsg(receiver, bytes, space) : recvmsgInto(receiver, incoming, space)
      received += fresh ? message.data.length : message.bytes
      if (descriptors > 0) came += closeDescriptors(message.ancillary)
    }
    if (came !== descriptors) throw new Error(`${came} descriptors came of ${descriptors}`)
  }
}

const contendersOf = (subject) => CONTENDERS.filter(({ runs }) => runs?.(subject) ?? true)

async function nanosecondsOf(contender, { bytes, descriptors, memory }, milliseconds) {
  const [program, args] = contender.command()
  const mode = contender.memory?.() ?? memory
  const all = [...args, String(bytes), String(descriptors), mode, String(milliseconds)]
  const { stdout } = await promisify(execFile)(program, all)
  const nanoseconds = Number(stdout)
  if (!(nanoseconds > 0)) throw new Error(`${contender.name} printed ${JSON.stringify(stdout)}`)
  return nanoseconds
}

/** @returns per subject, per contender, nanoseconds a message with one entry per round */
async function compare(list, rounds, milliseconds) {
  const measured = list.map((subject) => Object.fromEntries(contendersOf(subject).map(({ name }) => [name, []])))
  for (let round = 0; round < rounds; round++) {
    for (const [at, subject] of list.entries()) {
      for (const contender of rotated(contendersOf(subject), round + at)) {
        measured[at][contender.name].push(await nanosecondsOf(contender, subject, milliseconds))
      }
    }
    console.error(`round ${round + 1} of ${rounds}`)
  }
  return measured
}

/** Taken within each round. */
const ratio = (mine, others) => spread(mine.map((figure, round) => figure / others[round]))

function figuresTable(list, measured) {
  const figure = ({ rate, descriptors }, figures) => {
    if (figures === undefined) return ''
    return cell(spread(rate ? figures.map((nanoseconds) => (descriptors * 1e9) / nanoseconds) : figures))
  }
  const rowsOf = (rate) =>
    list.flatMap((subject, at) =>
      (subject.rate ?? false) === rate
        ? [[subject.name, ...CONTENDERS.map(({ name }) => figure(subject, measured[at][name]))]]
        : [],
    )
  const names = CONTENDERS.map(({ name }) => name)
  return [
    table(['ns a message, there and back', ...names], rowsOf(false)),
    table(['descriptors/s', ...names], rowsOf(true)),
  ].join('\n\n')
}

/** Of times, so that less is better in the rows that count descriptors too. */
function ratiosOf(list, measured) {
  return list.flatMap((subject, at) => {
    const { handover, ...others } = measured[at]
    return Object.entries(others).map(([other, figures]) => {
      const reached = ratio(handover, figures)
      const most = other === 'C' ? subject.most : other === 'CPython' ? 1 : undefined
      const met = most === undefined ? null : other === 'CPython' ? reached.median < most : reached.median <= most
      return { subject: subject.name, other, reached, most, met }
    })
  })
}

function aimOf({ other, most, met }) {
  if (most === undefined) return ''
  return `${other === 'CPython' ? 'below' : 'at most'} ${most}: ${met ? 'met' : 'missed'}`
}

function ratiosTable(ratios) {
  const rows = ratios.map((row) => [`${row.subject} / ${row.other}`, cell(row.reached, 2), aimOf(row)])
  return table(['time, handover / other', 'ratio', 'aim'], rows)
}

async function main() {
  const { values: options } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      milliseconds: { type: 'string', default: '250' },
    },
  })
  const rounds = whole(options, 'rounds')
  const milliseconds = whole(options, 'milliseconds')
  const asked = await promisify(execFile)('python3', ['--version'])
  const machine = {
    node: process.version,
    python: asked.stdout.trim(),
    kernel: release(),
    cores: cpus().length,
    cpu: cpus()[0]?.model ?? '',
  }
  const list = subjects()
  const measured = await compare(list, rounds, milliseconds)
  const ratios = ratiosOf(list, measured)
  console.log(`## sendmsg and recvmsg, ${rounds} rounds of ${milliseconds} ms\n`)
  console.log(`Node ${machine.node}, ${machine.python}, Linux ${machine.kernel}, ${machine.cores} cores.`)
  console.log('Medians (min–max) over the rounds; ratios within each.\n')
  console.log(`${figuresTable(list, measured)}\n\n${ratiosTable(ratios)}`)
  mkdirSync(`${root}build`, { recursive: true })
  const figures = list.map((subject, at) => ({ ...subject, nanoseconds: measured[at] }))
  const json = { machine, rounds, milliseconds, figures, ratios }
  writeFileSync(`${root}build/bench-sendmsg.json`, `${JSON.stringify(json, null, 2)}\n`)
}

if (argv[2] === '--contender') await contend(argv.slice(3))
else await main()
