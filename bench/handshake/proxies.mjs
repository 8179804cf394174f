/** nginx and HAProxy as fronts that pass TLS on by the name asked for, each with one process that does it. */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { root } from '../compile.mjs'
import { endLater } from '../contenders.mjs'

const UNPACKED = `${root}build/bench/proxies`
const LISTEN_MAX = 10_000

/** @returns what runs them: `{ nginx, haproxy }`, each `{ program, env }`, nginx with `modules` as well */
export function findProxies() {
  const found = { nginx: installedNginx(), haproxy: installed('haproxy') }
  if (found.nginx !== null && found.haproxy !== null) return found
  if (unpacked() === null) unpack()
  const own = unpacked()
  if (own === null) throw new Error('nginx (with its stream module) or haproxy is missing: install them')
  return { nginx: found.nginx ?? own.nginx, haproxy: found.haproxy ?? own.haproxy }
}

function installed(name) {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/usr/local/sbin']
  const folder = folders.find((one) => existsSync(`${one}/${name}`))
  return folder === undefined ? null : { program: `${folder}/${name}`, env: process.env }
}

/** With the module it needs; null: one of both is missing. */
function installedNginx() {
  const nginx = installed('nginx')
  if (nginx === null) return null
  const { stderr } = spawnSync(nginx.program, ['-V'], { encoding: 'utf8' })
  if (/--with-stream(\s|$)/.test(stderr)) return { ...nginx, modules: null }
  const modules = /--modules-path=(\S+)/.exec(stderr)?.[1] ?? ''
  return existsSync(`${modules}/ngx_stream_module.so`) ? { ...nginx, modules } : null
}

function unpacked() {
  const usr = `${UNPACKED}/usr`
  const modules = `${usr}/lib/nginx/modules`
  const files = [`${usr}/sbin/nginx`, `${modules}/ngx_stream_module.so`, `${usr}/sbin/haproxy`]
  if (!files.every((file) => existsSync(file))) return null
  const libraries = [`${usr}/lib`, `${UNPACKED}/lib`].filter((folder) => existsSync(folder)).flatMap(triplets)
  const env = libraries.length === 0 ? process.env : { ...process.env, LD_LIBRARY_PATH: libraries.join(':') }
  return { nginx: { program: files[0], env, modules }, haproxy: { program: files[2], env } }
}

/** Debian keeps libraries in a folder for each kind of machine. */
function triplets(folder) {
  return readdirSync(folder)
    .filter((name) => name.endsWith('-linux-gnu'))
    .map((name) => `${folder}/${name}`)
}

/**
 * Debian's packages and what they need, unpacked beside the build. Nothing is installed: an installed nginx would be
 * started, now or at the next boot.
 */
function unpack() {
  console.error('fetching nginx and haproxy')
  const archives = `${UNPACKED}/archives`
  mkdirSync(`${archives}/partial`, { recursive: true })
  const options = ['-qq', '-o', `Dir::Cache::archives=${archives}`, '-o', 'APT::Sandbox::User=root']
  const packages = ['nginx', 'libnginx-mod-stream', 'haproxy']
  const fetch = () => run('apt-get', [...options, '-y', '--download-only', '--reinstall', 'install', ...packages])
  if (!fetch() && !(run('apt-get', [...options, 'update']) && fetch())) return
  for (const name of readdirSync(archives)) {
    if (name.endsWith('.deb')) execFileSync('dpkg', ['-x', `${archives}/${name}`, UNPACKED])
  }
}

/** @returns false: not Debian, not root, or no network */
function run(program, args) {
  return spawnSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] }).status === 0
}

/** @param ports  of the workers: `{ a, b }` */
export async function startNginx({ program, env, modules }, scratch, ports) {
  const port = await freePort()
  const file = `${scratch}/nginx.conf`
  const text = `${modules === null ? '' : `load_module ${modules}/ngx_stream_module.so;`}
${process.getuid?.() === 0 ? 'user root root;' : ''}
daemon off;
worker_processes 1;
pid ${scratch}/nginx.pid;
error_log stderr error;
events { worker_connections 4096; }
stream {
  upstream a { server 127.0.0.1:${ports.a}; }
  upstream b { server 127.0.0.1:${ports.b}; }
  map $ssl_preread_server_name $group { a.example a; b.example b; }
  server { listen 127.0.0.1:${port}; ssl_preread on; proxy_pass $group; }
}
`
  writeFileSync(file, text)
  const child = await started(
    spawn(program, ['-p', scratch, '-e', 'stderr', '-c', file], { env, stdio }),
    port,
    'nginx',
  )
  return { port, front: [child.pid, ...(await childrenOf(child.pid))] }
}

/** @param splice  lets the kernel move the bytes where it can */
export async function startHaproxy({ program, env }, scratch, ports, splice) {
  const port = await freePort()
  const file = `${scratch}/haproxy-${port}.cfg`
  const text = `global
  nbthread 1
  maxconn 4096
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  ${splice ? 'option splice-auto' : ''}
frontend front
  bind 127.0.0.1:${port}
  tcp-request inspect-delay 5s
  tcp-request content accept if { req.ssl_hello_type 1 }
  use_backend a if { req.ssl_sni -i a.example }
  use_backend b if { req.ssl_sni -i b.example }
backend a
  server a 127.0.0.1:${ports.a}
backend b
  server b 127.0.0.1:${ports.b}
`
  writeFileSync(file, text)
  const child = await started(spawn(program, ['-db', '-q', '-f', file], { env, stdio }), port, 'HAProxy')
  return { port, front: [child.pid] }
}

const stdio = ['ignore', 'ignore', 'inherit']

/** Settles when the port accepts. */
async function started(child, port, name) {
  endLater(child)
  let failed = null
  child.once('error', (error) => {
    failed = error
  })
  const deadline = performance.now() + LISTEN_MAX
  while (!(await accepts(port))) {
    if (failed !== null || child.exitCode !== null) throw new Error(`${name}: ${failed?.message ?? 'it ended'}`)
    if (performance.now() > deadline) throw new Error(`${name}: it does not listen after ${LISTEN_MAX} ms`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return child
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

function freePort() {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

/** The port is open before they are there. */
async function childrenOf(pid) {
  for (;;) {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
    if (text !== '') return text.split(' ').map(Number)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
