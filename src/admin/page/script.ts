/**
 * What the page does: it draws what /events says, comes back when the connection is lost, and asks for a reload. Text of
 * others is set as text, never as markup.
 */
export const SCRIPT = String.raw`
'use strict'
const at = (id) => document.getElementById(id)
if (location.search) history.replaceState(null, '', '/')
const MINUTES = 5 * 60000
let samples = [], before = new Map(), busy = false, lastNote = 0, firstPid = null

function made(name, text, className) {
  const one = document.createElement(name)
  if (text !== undefined && text !== null) one.textContent = text
  if (className) one.className = className
  return one
}
const count = (n) => n === null || n === undefined ? '–' : Math.round(n).toLocaleString('en')
const rate = (n) => n === null ? '–' : n > 0 && n < 10 ? n.toFixed(1) : count(n)
const bytes = (n) => typeof n !== 'number' ? '–' : (n / 1048576).toFixed(n < 10485760 ? 1 : 0) + ' MiB'
const lag = (n) => typeof n !== 'number' ? '–' : (n < 10 ? n.toFixed(1) : count(n)) + ' ms'
const clock = (t) => new Date(t).toLocaleTimeString('en-GB')
function span(seconds) {
  const s = Math.max(0, Math.round(seconds))
  if (s < 60) return s + ' s'
  if (s < 3600) return Math.floor(s / 60) + ' min ' + (s % 60) + ' s'
  return s < 86400 ? Math.floor(s / 3600) + ' h ' + Math.floor(s % 3600 / 60) + ' min' : Math.floor(s / 86400) + ' d ' + Math.floor(s % 86400 / 3600) + ' h'
}
const kinds = { ready: 'good', serving: 'good', starting: 'wait', draining: 'wait', standby: 'wait', waiting: 'wait', stopped: 'bad' }
function row(cells) {
  const line = made('tr')
  for (const [text, className] of cells) line.append(made('td', text, className))
  return line
}

function show(status) {
  if (firstPid !== null && firstPid !== status.pid) before = new Map()
  firstPid = status.pid
  const open = status.workers.reduce((sum, one) => sum + one.open, 0)
  const total = status.dispatched + (status.accepted || 0)
  const last = samples[samples.length - 1]
  if (!last || status.now > last[0]) samples.push([status.now, open, total])
  samples = samples.filter(([time]) => time > status.now - MINUTES)
  document.title = status.name + (status.ready ? '' : ' – not ready')
  at('name').textContent = status.name
  at('about').textContent = 'handover ' + status.version + ' · pid ' + status.pid + ' · up ' + span(status.uptime)
  at('reload').disabled = busy || !status.canReload
  at('reload').title = status.canReload ? '' : 'Reloading needs a token: this address has none.'
  const rates = curve()
  const now = rates.length ? rates[rates.length - 1][1] : null
  const ready = status.workers.filter((one) => one.state === 'ready').length
  const setbacks = Object.values(status.setbacks).reduce((sum, n) => sum + n, 0)
  const numbers = [['Generation', status.generation], ['Workers ready', ready + ' of ' + (status.workers.length + (status.vacant || []).length)], ['Open', count(open)],
    ['Per second', rate(now)], ['In all', count(total)], ['Waiting', count(status.waiting + (status.listenQueue || 0))], ['Undecided', count(status.undecided)], ['Setbacks', count(setbacks)]]
  at('numbers').replaceChildren(...numbers.map(([name, value]) => { const box = made('div'); box.append(made('dt', name), made('dd', value)); return box }))
  at('generations').replaceChildren(...status.generations.map((one) => row([
    [one.number], [one.state, kinds[one.state]], [one.workers, 'n'],
    [count(status.workers.filter((w) => w.generation === one.number).reduce((sum, w) => sum + w.open, 0)), 'n'],
    [one.since ? clock(one.since) : '–'], [one.deadline ? 'in ' + span((one.deadline - status.now) / 1000) : '–']])))
  const seen = new Map()
  at('workers').replaceChildren(...status.workers.map((one) => {
    const who = one.generation + ' ' + one.worker + ' ' + one.restarts
    const old = before.get(who)
    seen.set(who, [status.now, one.total])
    const own = old && status.now > old[0] ? Math.max(0, one.total - old[1]) * 1000 / (status.now - old[0]) : null
    const state = one.hung ? 'hung' : one.stalled ? 'stalled' : one.state
    return row([[one.worker + (one.group ? ' (' + one.group + ')' : '')], [state, kinds[state] || 'bad'], [one.generation, 'n'], [one.pid || '–', 'n'], [count(one.open), 'n'],
      [count(one.total), 'n'], [rate(own), 'n'], [lag(one.lag), 'n'], [bytes(one.memory), 'n'], [one.restarts, 'n']])
  }))
  before = seen
  at('open-now').textContent = count(open)
  at('rate-now').textContent = rate(now)
  const shown = Math.min(MINUTES, Math.max(60000, status.now - samples[0][0]))
  at('h-chart').textContent = shown < 120000 ? 'Last ' + Math.round(shown / 1000) + ' seconds' : 'Last ' + Math.round(shown / 60000) + ' minutes'
  at('open-peak').textContent = draw(at('chart-open'), samples.map(([time, value]) => [time, value]), status.now, shown)
  at('rate-peak').textContent = draw(at('chart-rate'), rates, status.now, shown)
}

function curve() {
  const rates = []
  for (let i = 1; i < samples.length; i++) {
    const took = samples[i][0] - samples[i - 1][0]
    if (took > 0) rates.push([samples[i][0], Math.max(0, samples[i][2] - samples[i - 1][2]) * 1000 / took])
  }
  return rates
}

function draw(svg, points, now, shown) {
  const peak = Math.max(0, ...points.map(([, value]) => value))
  const highest = Math.max(1, peak) * 1.1
  const place = ([time, value]) => (600 - (now - time) / shown * 600).toFixed(1) + ',' + (120 - value / highest * 118).toFixed(1)
  const line = points.map(place).join(' ')
  const name = 'http://www.w3.org/2000/svg'
  const path = (className, d) => { const one = document.createElementNS(name, 'path'); one.setAttribute('class', className); one.setAttribute('d', d); return one }
  if (points.length < 2) { svg.replaceChildren(); return '' }
  const first = place(points[0]).split(',')[0]
  const end = place(points[points.length - 1]).split(',')[0]
  svg.replaceChildren(path('grid', 'M0,30 H600 M0,60 H600 M0,90 H600'), path('area', 'M' + first + ',120 L' + line + ' L' + end + ',120 Z'), path('curve', 'M' + line))
  return 'peak ' + rate(peak)
}

function note({ number, at: time, event, text }) {
  if (number <= lastNote) return
  lastNote = number
  const list = at('events')
  list.prepend(entry(time, event, text))
  while (list.children.length > 200) list.lastChild.remove()
}

const tones = { ready: 'good', reloaded: 'good', healthy: 'good', switched: 'good', recovered: 'good', done: 'good', ended: 'wait', stalled: 'wait', cut: 'wait', setback: 'wait',
  failed: 'bad', rolledBack: 'bad', broken: 'bad', refused: 'bad', exhausted: 'bad', hung: 'bad', crashLoop: 'bad', notReplaced: 'bad', overLimit: 'wait' }
function entry(time, event, text) {
  const item = made('li')
  item.append(made('time', clock(time)), made('b', event, event === 'ended' && /\bexpected\b/.test(text) ? 'quiet' : tones[event]), made('span', text))
  return item
}

function link(text, className) { at('link').textContent = text; at('link').className = 'badge ' + className }
function complain(text) { at('alert').textContent = text; at('alert').hidden = text === '' }

function listen() {
  const source = new EventSource('/events')
  let alive = setTimeout(lost, 10000)
  function heard() { clearTimeout(alive); alive = setTimeout(lost, 5000) }
  function lost() {
    clearTimeout(alive)
    source.close()
    link('connection lost, trying again', 'bad')
    setTimeout(again, 1000)
  }
  source.addEventListener('history', ({ data }) => {
    const history = JSON.parse(data)
    samples = history.samples
    if (history.notes.length && history.notes[history.notes.length - 1].number < lastNote) { lastNote = 0; at('events').replaceChildren() }
    history.notes.forEach(note)
  })
  source.addEventListener('status', ({ data }) => { heard(); link('live', 'good'); complain(''); show(JSON.parse(data)) })
  source.addEventListener('note', ({ data }) => note(JSON.parse(data)))
  source.onerror = lost
}

/* EventSource does not say why it failed: a question of our own does. */
async function again() {
  try {
    const answer = await fetch('/status')
    if (answer.status === 401) { link('signed out', 'bad'); return complain('The token is not accepted any more: load this page again to sign in.') }
    listen()
  } catch { setTimeout(again, 1000) }
}

const dialog = at('dialog')
at('reload').onclick = () => {
  at('h-dialog').textContent = 'Reload the workers?'
  at('progress').replaceChildren()
  at('explained').hidden = false
  at('confirm').hidden = false
  at('confirm').disabled = false
  at('cancel').textContent = 'Cancel'
  dialog.showModal()
}
at('cancel').onclick = () => dialog.close()
at('confirm').onclick = async () => {
  const say = (event, text) => { const line = entry(Date.now(), event, text); at('progress').append(line); line.scrollIntoView({ block: 'nearest' }) }
  at('confirm').disabled = true
  at('cancel').textContent = 'Close'
  at('explained').hidden = true
  at('h-dialog').textContent = 'Reloading'
  at('reload').disabled = busy = true
  let end = null
  try {
    const answer = await fetch('/reload', { method: 'POST', headers: { accept: 'application/x-ndjson' } })
    if (!answer.ok) throw new Error((await answer.text()).trim())
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
    let rest = ''
    for (;;) {
      const { value, done } = await reader.read()
      if (done) break
      const lines = (rest + value).split('\n')
      rest = lines.pop()
      for (const line of lines) end = told(JSON.parse(line), say) || end
    }
    if (end === null) throw new Error('The connection was lost; the events below say what became of it.')
  } catch (error) {
    let text = error.message
    try { text = JSON.parse(text).error || text } catch {}
    end = 'failed'
    say('failed', text)
  }
  busy = false
  at('reload').disabled = false
  at('confirm').hidden = true
  at('h-dialog').textContent = end === 'done' ? 'Reloaded' : 'Not reloaded'
}

function told(step, say) {
  const { event, generation, worker } = step
  if (event === 'reloading') say(event, 'generation ' + generation + ' is being started')
  else if (event === 'ready') say(event, 'worker ' + worker + ' of generation ' + generation)
  else if (event === 'ended') say(event, 'worker ' + worker + ' of generation ' + generation + (step.expected ? ', as expected' : ''))
  else if (event === 'queued') say(event, 'after ' + step.ahead + ' others')
  else if (event === 'rolled') say(event, step.done + ' of ' + step.of + ' places')
  else if (event === 'switched') { say(event, 'generation ' + generation + ' has every new connection; the one before finishes what it has'); at('h-dialog').textContent = 'The old workers finish' }
  else if (event === 'healthy') say(event, 'generation ' + generation + ' stays')
  else if (event === 'rolledBack') say(event, step.reason || '')
  else if (event === 'done') say(event, 'generation ' + generation + ' is all there is')
  else if (event === 'failed') say(event, step.error)
  return event === 'done' || event === 'failed' ? event : null
}
listen()
`
