/** Link-local addresses mean something on one interface alone: in a network namespace of its own, on a pair of that. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import test from 'node:test'
import { pathToFileURL } from 'node:url'
import { command } from '../support/command.js'
import { fixture, root } from '../support/paths.js'

const ADDRESS = 'fe80::1234'
const DEVICE = 'left7'
const prepared = [
  'ip link set lo up',
  `ip link add ${DEVICE} type veth peer name right7`,
  `ip link set ${DEVICE} up`,
  'ip link set right7 up',
  `ip addr add ${ADDRESS}/64 dev ${DEVICE} nodad`,
].join(' && ')
/** Runs a program where the device is; its index is the last argument. */
const script = `${prepared} && exec "$@" "$(ip -o link show ${DEVICE} | cut -d: -f1)"`
/** As anybody, or else as the superuser. */
const ways = [['--user', '--map-root-user', '--net'], ['--net']]
const way = ways.find((options) => spawnSync('unshare', [...options, 'sh', '-c', prepared]).status === 0)
const skip = way === undefined && 'needs unshare and iproute2, and the right to use them'

test('a scope goes with an address both ways, by name, by number and as a field', { skip }, async (t) => {
  const entry = pathToFileURL(join(root, 'dist/src/sendmsg/index.js')).href
  const program = [process.execPath, fixture('scope.mjs'), entry, ADDRESS, DEVICE]
  const run = command(t, 'unshare', [...(way ?? []), 'sh', '-c', script, 'sh', ...program])
  assert.equal(await run.ended, 0, run.stderr())
  const { name, sender, said, refused } = JSON.parse(run.stdout())
  assert.deepEqual([name.family, name.address], ['IPv6', ADDRESS])
  assert.ok(name.scopeId > 0)
  assert.equal(sender.scopeId, name.scopeId)
  assert.deepEqual(said, [sender, sender, sender])
  assert.match(refused, /^E(INVAL|NODEV|NETUNREACH|ADDRNOTAVAIL|NXIO)$/)
})
