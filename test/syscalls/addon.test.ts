import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { pathToFileURL } from 'node:url'
import { root, scratch } from '../support/paths.js'

const platform = `${process.platform}-${process.arch}`
const built = join(root, 'native/build/Release/handover.node')

/** A copy of the package without its addon. */
function packageCopy(t: TestContext): string {
  const folder = scratch(t)
  cpSync(join(root, 'dist/src'), join(folder, 'dist/src'), { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  return folder
}

/** Loads the copy's addon in a process of its own, and tells which file it was, or the error. */
function load(folder: string): { file?: string; code?: string; message?: string } {
  const kernel = pathToFileURL(join(folder, 'dist/src/syscalls/kernel.js')).href
  const code = `import(${JSON.stringify(kernel)}).then(
    () => console.log(JSON.stringify({ file: process.report.getReport().sharedObjects.find((file) => file.endsWith('handover.node')) })),
    ({ code, message }) => console.log(JSON.stringify({ code, message })))`
  return JSON.parse(spawnSync(process.execPath, ['-e', code], { encoding: 'utf8' }).stdout)
}

function place(folder: string, file: string): string {
  const path = join(folder, file)
  mkdirSync(join(path, '..'), { recursive: true })
  copyFileSync(built, path)
  return path
}

test('without an addon the error names the command that builds it', (t) => {
  const { code, message } = load(packageCopy(t))
  assert.equal(code, 'ERR_HANDOVER_NO_ADDON')
  assert.ok(message?.includes(platform) && message.includes('npm run build:native'), message)
})

test('the local build is loaded, and a shipped one rather than that', (t) => {
  const folder = packageCopy(t)
  const local = place(folder, 'native/build/Release/handover.node')
  assert.equal(load(folder).file, local)
  const musl = process.report.getReport() as { header: { glibcVersionRuntime?: string } }
  const suffix = process.platform === 'linux' && musl.header.glibcVersionRuntime === undefined ? '-musl' : ''
  const shipped = place(folder, `prebuilds/${platform}${suffix}/handover.node`)
  assert.equal(load(folder).file, shipped)
})

test('an addon that cannot be loaded is named with the reason', (t) => {
  const folder = packageCopy(t)
  const broken = place(folder, 'native/build/Release/handover.node')
  writeFileSync(broken, 'not a library')
  const { code, message } = load(folder)
  assert.equal(code, 'ERR_HANDOVER_NO_ADDON')
  assert.ok(message?.includes(broken) && message.includes('npm run build:native'), message)
})
