/** The page shows the workers as they are, and reloads them for whoever has the token. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { admin, askAt, TOKEN } from '../support/admin.js'
import { browser, chromium, type Tab } from '../support/browser.js'
import { fixture } from '../support/paths.js'
import { supervise } from '../support/supervised.js'

const ROWS = `[...document.querySelectorAll('#workers tr')].map((row) => [...row.children].map((cell) => cell.textContent))`

async function size({ send }: Tab, width: number, height: number, scheme: 'light' | 'dark'): Promise<void> {
  await send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false })
  await send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] })
}

test('it shows the workers, reloads them when that is confirmed, and asks who has no token', chromium, async (t) => {
  const app = await supervise(t, { script: fixture('http-pid.mjs'), workers: 3 })
  const { port } = await admin(t, app.supervisor, { token: TOKEN, name: 'shop', version: '0.1.0' })
  const tab = await browser(t)
  await size(tab, 1100, 1000, 'light')

  await tab.open(`http://127.0.0.1:${port}/?token=wrong-token-of-somebody`)
  assert.match(await tab.value('document.body.innerText'), /not the token/)
  assert.equal(await tab.value(`fetch('/status').then(({ status }) => status)`), 401)
  await tab.screenshot('sign-in')
  tab.complaints.length = 0 // of the 401s

  await tab.value(
    `document.getElementById('token').value = ${JSON.stringify(TOKEN)}; document.querySelector('button').click()`,
  )
  await tab.until(`document.getElementById('workers')?.children.length === 3`)
  assert.equal(await tab.value('location.search'), '', 'the token does not stay in the address')
  assert.equal(await tab.value('document.cookie'), '', 'scripts do not see the cookie')
  const shown = await tab.value<string[][]>(ROWS)
  assert.deepEqual(
    shown.map(([worker, state, generation, pid]) => [worker, state, generation, pid]),
    app.pids().map((pid, i) => [`${i + 1}`, 'ready', '1', `${pid}`]),
  )
  assert.equal(await tab.value(`document.getElementById('link').textContent`), 'live')

  for (let i = 0; i < 40; i++) await askAt(app.port, '/')
  await tab.until(`${ROWS}.reduce((sum, row) => sum + Number(row[5]), 0) === 40`)
  await tab.until(`document.querySelector('#chart-rate .curve') !== null`)

  await tab.value(`document.getElementById('reload').click()`)
  assert.equal(await tab.value(`document.getElementById('dialog').open`), true)
  await tab.value(`document.getElementById('cancel').click()`)
  assert.equal(app.supervisor.status().workers[0]?.generation, 1, 'nothing happens without a confirmation')
  await tab.value(`document.getElementById('reload').click(); document.getElementById('confirm').click()`)
  await tab.until(`document.getElementById('h-dialog').textContent === 'Reloaded'`)
  await tab.screenshot('dialog')
  await tab.value(`document.getElementById('cancel').click()`)
  await tab.until(`${ROWS}.length === 3 && ${ROWS}.every((row) => row[1] === 'ready' && row[2] === '2')`)
  await tab.until(`document.getElementById('events').textContent.includes('switched')`)
  assert.equal(await tab.value(`document.getElementById('alert').hidden`), true)

  await tab.screenshot('light')
  await size(tab, 1100, 1000, 'dark')
  await tab.screenshot('dark')
  await size(tab, 390, 1500, 'light')
  await tab.screenshot('narrow')
  const wide = await tab.value<number>('document.documentElement.scrollWidth')
  assert.ok(wide <= 390, `nothing is wider than a telephone: ${wide}`)
  assert.deepEqual(tab.complaints, [])
})

test('it says so when the connection is lost, and comes back', chromium, async (t) => {
  const app = await supervise(t, { script: fixture('http-pid.mjs') })
  const first = await admin(t, app.supervisor, { token: TOKEN })
  const tab = await browser(t)
  await tab.open(`http://127.0.0.1:${first.port}/?token=${TOKEN}`)
  await tab.until(`document.getElementById('link').textContent === 'live'`)
  await first.server.stop()
  await tab.until(`/lost/.test(document.getElementById('link').textContent)`)
  const second = await admin(t, app.supervisor, { token: TOKEN, port: first.port })
  await tab.until(`document.getElementById('link').textContent === 'live'`)
  await second.server.stop()
  await admin(t, app.supervisor, { token: `another ${TOKEN}`.replace(' ', '-'), port: first.port })
  await tab.until(`/signed out/.test(document.getElementById('link').textContent)`)
})
