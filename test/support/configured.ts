import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { root, scratch } from './paths.js'

/** A folder with these files, that goes with the test; objects are written as JSON. It has this package as a module. */
export function folderOf(t: TestContext, files: Readonly<Record<string, string | object>>): string {
  const folder = scratch(t)
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content))
  }
  mkdirSync(join(folder, 'node_modules'), { recursive: true })
  symlinkSync(root, join(folder, 'node_modules/handover'))
  return folder
}

/** A server that says what it was started with, and answers with a word. */
export const server = (word = 'one'): string => `
import http from 'node:http'
const { pid, argv, execArgv } = process
console.log(JSON.stringify({ word: '${word}', args: argv.slice(2), cwd: process.cwd(), set: process.env.SET ?? null, home: process.env.HOME ?? null, options: execArgv }))
http.createServer((request, response) => {
  if (request.url === '/line') console.log('a line'), console.error('an error')
  response.end('${word}')
}).listen(0, '127.0.0.1')
`
