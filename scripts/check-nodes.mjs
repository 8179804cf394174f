// The whole test suite on every supported version of Node, with the same build: 22, 24 and 26 beside the one that runs this.
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { run } from './run.mjs'

const VERSIONS = ['22', '24', '26']
const folder = resolve('build/nodes')
const tests = readdirSync('dist/test', { recursive: true })
  .filter((name) => name.endsWith('.test.js'))
  .map((name) => join('dist/test', name))

for (const version of VERSIONS) {
  const prefix = join(folder, version)
  const node = join(prefix, `node_modules/node-${process.platform}-${process.arch}/bin/node`)
  if (!existsSync(node)) {
    mkdirSync(prefix, { recursive: true })
    run('npm', [
      'install',
      '--prefix',
      prefix,
      '--no-save',
      '--no-audit',
      '--no-fund',
      '--silent',
      `node-${process.platform}-${process.arch}@${version}`,
    ])
  }
  run(node, ['--version'])
  run(node, ['--test', '--test-concurrency=3', '--test-timeout=120000', '--test-reporter=dot', ...tests])
}
