/** Headless Chromium, told what to do over a pipe. @see https://chromedevtools.github.io/devtools-protocol/ */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import type { TestContext } from 'node:test'
import { plain, tool } from './tools.js'
import { until } from './wait.js'

export const chromium = tool('chromium')

type Result = Record<string, unknown>

export interface Tab {
  send(method: string, params?: object): Promise<Result>
  open(url: string): Promise<void>
  /** The value of an expression in the page, promises awaited. */
  value<Value>(expression: string): Promise<Value>
  /** Waits until an expression in the page is true. */
  until(expression: string): Promise<void>
  /** Writes what it looks like, if HANDOVER_SCREENSHOTS names a folder. */
  screenshot(name: string): Promise<void>
  /** What the page complained of: exceptions, refused loads. */
  complaints: string[]
}

/** Starts a browser with one empty page; it ends with the test. */
export async function browser(t: TestContext): Promise<Tab> {
  assert.ok(chromium.path !== null, `this test needs ${chromium.needs}`)
  const folder = mkdtempSync(join(tmpdir(), 'handover-browser-'))
  const quiet = ['background-networking', 'component-update', 'sync', 'gpu', 'quic', 'dev-shm-usage', 'extensions']
  const flags = ['--headless', '--no-sandbox', '--no-first-run', '--remote-debugging-pipe', '--hide-scrollbars']
  const rules = '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'
  const args = [...flags, ...quiet.map((what) => `--disable-${what}`), rules, `--user-data-dir=${folder}`]
  const child = spawn(chromium.path, args, { env: plain(), stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] })
  const ended = new Promise((resolve) => child.once('close', resolve))
  const complaints: string[] = []
  const send = speak(child.stdio[3] as Writable, child.stdio[4] as Readable, complaints)
  t.after(async () => {
    void send('Browser.close') // it sees to its own processes, which write into its folder until they end
    const kill = setTimeout(() => child.kill('SIGKILL'), 5_000)
    await ended
    clearTimeout(kill)
    rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  })
  const { targetId } = await send('Target.createTarget', { url: 'about:blank' })
  const { sessionId } = await send('Target.attachToTarget', { targetId, flatten: true })
  const tab = (method: string, params?: object): Promise<Result> => send(method, params, sessionId as string)
  for (const domain of ['Page', 'Runtime', 'Log']) await tab(`${domain}.enable`)
  return { ...commands(tab), complaints }
}

function speak(input: Writable, output: Readable, complaints: string[]) {
  const waiting = new Map<number, (answer: { result?: Result; error?: { message: string } }) => void>()
  let last = 0
  let text = ''
  input.on('error', () => {})
  output.setEncoding('utf8').on('data', (part: string) => {
    const messages = (text + part).split('\0')
    text = messages.pop() ?? ''
    for (const message of messages) {
      const said = JSON.parse(message) as { id?: number; method?: string; params?: object; result?: Result }
      if (said.id !== undefined) waiting.get(said.id)?.(said)
      else if (/exceptionThrown|entryAdded/.test(said.method ?? '')) complaints.push(JSON.stringify(said.params))
    }
  })
  return (method: string, params: object = {}, sessionId?: string): Promise<Result> => {
    const id = ++last
    input.write(`${JSON.stringify({ id, method, params, ...(sessionId && { sessionId }) })}\0`)
    return new Promise((resolve, reject) => {
      waiting.set(id, ({ result, error }) => {
        waiting.delete(id)
        if (result === undefined) reject(new Error(`${method}: ${error?.message}`))
        else resolve(result)
      })
    })
  }
}

function commands(send: Tab['send']): Omit<Tab, 'complaints'> {
  const value = async <Value>(expression: string): Promise<Value> => {
    const told = await send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true })
    assert.equal(told.exceptionDetails, undefined, `${expression}: ${JSON.stringify(told.exceptionDetails)}`)
    return (told.result as { value: Value }).value
  }
  return {
    send,
    value,
    async open(url) {
      await send('Page.navigate', { url })
      await until(`${url} is loaded`, () =>
        value<boolean>(`document.readyState === 'complete' && location.href !== 'about:blank'`),
      )
    },
    until: (expression) =>
      until(expression, () => value<boolean>(expression), 30_000).catch(async (error: Error) => {
        throw new Error(`${error.message}\n${await value('document.body.innerText')}`)
      }),
    async screenshot(name) {
      const folder = process.env.HANDOVER_SCREENSHOTS
      if (folder === undefined) return
      const { data } = await send('Page.captureScreenshot', { captureBeyondViewport: true })
      writeFileSync(`${folder}/${name}.png`, Buffer.from(data as string, 'base64'))
    },
  }
}
