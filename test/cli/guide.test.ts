import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { schema } from '../../src/config/schema.js'
import { command, handover } from '../support/command.js'
import { root, scratch } from '../support/paths.js'

const page = readFileSync(join(root, 'docs/guide.md'), 'utf8')

/** A folder with the page's programs of these names, as a project that has the packages. */
function project(t: TestContext, ...names: string[]): string {
  const folder = scratch(t)
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(root, join(folder, 'node_modules/handover'))
  symlinkSync(join(root, 'node_modules/express'), join(folder, 'node_modules/express'))
  writeFileSync(join(folder, 'package.json'), '{}') // as `npm init` of most projects leaves it
  for (const name of names) {
    const [, source] = page.split(`\`\`\`js\n// ${name}\n`)
    writeFileSync(join(folder, name), (source as string).split('```')[0] as string)
  }
  return folder
}

function body(port: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ port, host: '127.0.0.1', agent: false }, (response) => {
      response.setEncoding('utf8')
      let text = ''
      response.on('data', (chunk) => {
        text += chunk
      })
      response.on('end', () => resolve(text))
    }).on('error', reject)
  })
}

test('the Express app of the page runs by its configuration, and is reloaded', async (t) => {
  const cwd = project(t, 'server.mjs', 'handover.config.mjs')
  const run = handover(t, ['run'], { cwd, env: { ...process.env, PORT: '0' } })
  const port = await run.line(/listening on port (\d+)/)
  await run.line(/worker \d ready/)
  assert.match(await body(port), /^worker [12], production\n$/)
  const reload = handover(t, ['reload', '--name', 'shop', '--timeout', '30'], { cwd })
  assert.equal(await reload.ended, 0, reload.said())
  assert.match(await body(port), /^worker [12], production\n$/)
  const stop = handover(t, ['stop', '--name', 'shop'], { cwd })
  assert.equal(await stop.ended, 0, stop.said())
  assert.equal(await run.ended, 0)
})

test('the master of the page counts what its workers tell, and tells them', async (t) => {
  const cwd = project(t, 'worker.mjs', 'master.mjs')
  const source = readFileSync(join(cwd, 'master.mjs'), 'utf8')
  const told = "\nconst [{ port }] = supervisor.status().ports\nconsole.log('port', port)\n"
  writeFileSync(join(cwd, 'master.mjs'), source + told)
  const master = command(t, process.execPath, ['master.mjs'], { cwd, env: { ...process.env, PORT: '0' } })
  const port = await master.line(/^port (\d+)/m)
  const counts = new Set<string>()
  while (!counts.has('3 hits\n')) counts.add(await body(port))
  master.child.kill('SIGTERM')
  assert.equal(await master.ended, 0, master.said())
})

test('every key that the page names for a configuration is one', () => {
  const table = page.split('### Keys of the ecosystem file')[1]?.split('###')[0] as string
  const cells = [...table.matchAll(/^\| [^|]* \| ([^|]*) \|$/gm)].map(([, cell]) => cell as string)
  const keys = cells.flatMap((cell) => [...cell.matchAll(/`([a-z]\w+)(?:`|: )/g)].map(([, key]) => key as string))
  const known = Object.keys(schema.shape)
  assert.ok(keys.length > 10, `${keys.length} keys were found`)
  assert.deepEqual(
    keys.filter((key) => !known.includes(key)),
    [],
  )
})
