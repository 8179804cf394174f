import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { importModule, why } from './import-module.js'
import { UsageError } from './usage-error.js'

/** The one function of older releases of the compiler that is needed here. */
type Transpile = (source: string, options: { compilerOptions: object }) => { outputText: string }

/** Imports a module in TypeScript. @throws {UsageError} it cannot be loaded, or there is nothing to load it with */
export async function importTypeScript(path: string, name: string): Promise<Record<string, unknown>> {
  const { typescript } = process.features as { typescript?: string | false }
  if (typescript) return importModule(path, name)
  const text = await transpiled(path, name)
  // Beside the source, as that is where its imports lead from.
  const file = join(dirname(path), `.${basename(path)}.${process.pid}.mjs`)
  try {
    writeFileSync(file, text, { flag: 'wx', mode: 0o600 })
    return await importModule(file, name)
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new UsageError(`${name} cannot be loaded: ${why(error)}; this release of Node needs to write beside it`)
  } finally {
    rmSync(file, { force: true })
  }
}

/** Takes the types away with the compiler that the user's project has. */
async function transpiled(path: string, name: string): Promise<string> {
  const require = createRequire(path)
  let manifest: string
  try {
    manifest = require.resolve('typescript/package.json')
  } catch {
    throw new UsageError(
      `${name}: Node ${process.versions.node} reads no TypeScript: take Node 22.18 or later, install typescript in ${dirname(path)}, or write it as .js`,
    )
  }
  const { transpileModule } = require('typescript') as { transpileModule?: Transpile }
  if (transpileModule !== undefined) {
    // 99 is ESNext in both lists.
    return transpileModule(readFileSync(path, 'utf8'), { compilerOptions: { module: 99, target: 9 } }).outputText
  }
  return compiled(path, name, join(dirname(manifest), 'bin/tsc'))
}

/** From release 7 on the compiler is a program. It runs where no settings of a project reach it. */
async function compiled(path: string, name: string, compiler: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'handover-config-'))
  const options = [
    '--noCheck',
    '--noResolve',
    '--module',
    'esnext',
    '--moduleResolution',
    'bundler',
    '--target',
    'es2022',
  ]
  const outputs = ['--outDir', folder, '--rootDir', dirname(path)]
  try {
    const run = promisify(execFile)(process.execPath, [compiler, ...options, ...outputs, path], { cwd: folder })
    await run.catch((error: { stdout?: string }) => {
      const fault = /\((\d+),\d+\): error TS\d+: (.*)$/m.exec(error.stdout ?? '')
      throw new UsageError(`${name}${fault ? `:${fault[1]} cannot be loaded: ${fault[2]}` : ' cannot be compiled'}`)
    })
    return readFileSync(join(folder, basename(path).replace(/\.(m?)ts$/, '.$1js')), 'utf8')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
