/** The C programs to compare with, compiled when they are older than their source. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../', import.meta.url))
const FLAGS = ['-std=c11', '-O2', '-Wall', '-Wextra', '-Werror']

/** @returns the path of the program */
export function compiled(name) {
  const source = `${root}bench/${name}.c`
  const program = `${root}build/bench/${name}`
  mkdirSync(`${root}build/bench`, { recursive: true })
  if (existsSync(program) && statSync(program).mtimeMs > statSync(source).mtimeMs) return program
  execFileSync(process.env.CC ?? 'cc', [...FLAGS, '-o', program, source], { stdio: 'inherit' })
  return program
}

/** A module that users load. @throws {Error} with the command that helps */
export const built = (path) => existing(`dist/lib/${path}`)

/** A module that no user can load. @throws {Error} with the command that helps */
export const inside = (path) => existing(`dist/src/${path}`)

function existing(path) {
  const file = `${root}${path}`
  if (!existsSync(file)) throw new Error(`there is no ${path}: build it with \`npm run build\``)
  return file
}
