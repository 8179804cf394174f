// The packed tarball, installed as a user would, without any install script: types, imports and the command work.
import { spawn } from 'node:child_process'
import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { run } from './run.mjs'

/** Programs that run by themselves and end. */
const SENDMSG_EXAMPLES = /^(send-and-receive|copy-descriptor|notify-socket|pass-connection)\.mjs$/

const folder = mkdtempSync(join(tmpdir(), 'handover-package-'))
const hadPrebuilds = existsSync('prebuilds')
try {
  run('node', ['scripts/prebuild.mjs'])
  run('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder])
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--silent', `./${tarball}`], { cwd: folder })
  writeFileSync(
    join(folder, 'user.ts'),
    "import { type Bootstrap, type Channel, Supervisor, serve, share, type Policy, type ThingKind } from 'handover'\n" +
      "import { httpRequestHead, type Inspect, tlsServerName } from 'handover'\n" +
      "import { defineConfig, type HandoverConfig } from 'handover/config'\n" +
      "export const config: HandoverConfig = defineConfig({ workers: 'max', policy: 'round-robin', drainTimeout: '30s' })\n" +
      "import { recvmsg, rights, sendmsg, socketpair } from 'handover/sendmsg'\n" +
      "import { movableWebSockets, type WebSocketServerLike } from 'handover/ws'\n" +
      "import { AdminServer, AgentCheck, newToken } from 'handover/admin'\n" +
      "const own: Inspect = (bytes) => (bytes.length < 9 ? { more: 9 } : bytes[0] === 1 ? { refuse: 'no' } : {})\n" +
      "const named = tlsServerName({ names: { 'a.example': 'a' }, otherwise: { refuse: '' } })\n" +
      "export const inspections: Inspect[] = [own, named, httpRequestHead({ routes: [{ to: 'a' }] })]\n" +
      'export const move = (server: WebSocketServerLike) => movableWebSockets(server, { resumed: () => {} })\n' +
      'const [left, right] = socketpair()\n' +
      "sendmsg(left, [Buffer.from('x')], [rights([right])])\n" +
      'export const received: number[] = rights.from(recvmsg(right, 1, 64)?.ancillary ?? [])\n' +
      'const policy: Policy = (connection, targets) => (connection.peer ? targets[0]?.id : undefined)\n' +
      'export const give = (channel: Channel, port: number): Promise<void> => channel.send({ port }, [share(port)])\n' +
      'export type Open = [ThingKind<URL>, Bootstrap]\n' +
      "export const supervisor = new Supervisor({ script: '/x.js', workers: 2, policy })\nexport { serve }\n" +
      'export const admin = [new AdminServer(supervisor, { port: 0, token: newToken() }), new AgentCheck(supervisor, { port: 0 })]\n',
  )
  run(
    resolve('node_modules/.bin/tsc'),
    [
      ...['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2022', '--skipLibCheck', 'false', 'user.ts'],
      ...['--typeRoots', resolve('node_modules/@types'), '--types', 'node'],
    ],
    { cwd: folder },
  )
  writeFileSync(
    join(folder, 'app.mjs'),
    "import http from 'node:http'\nhttp.createServer((_, r) => r.end('packed')).listen(0, '127.0.0.1')\n",
  )
  for (const name of readdirSync('examples').filter((name) => SENDMSG_EXAMPLES.test(name))) {
    copyFileSync(join('examples', name), join(folder, name))
    run('node', [name], { cwd: folder })
  }
  writeFileSync(
    join(folder, 'peer.mjs'),
    "import { inherited, spawn } from 'handover'\n" +
      "if (process.argv[2]) await inherited().send('packed', [0])\n" +
      'else {\n' +
      "  const { channel } = spawn(process.execPath, [process.argv[1], 'child'], { stdio: 'ignore' })\n" +
      '  const { message, things } = await channel.receive()\n' +
      "  if (message !== 'packed' || things.length !== 1) process.exit(1)\n" +
      '  things[0].close()\n' +
      '  channel.close()\n' +
      '}\n',
  )
  run('node', ['peer.mjs'], { cwd: folder })
  // Without ws, which it takes from whoever has it.
  run('node', ['--input-type=module', '--eval', "await import('handover/ws')"], { cwd: folder })
  // The page is in the package, and prom-client comes with it.
  const seen =
    "import { Supervisor } from 'handover'; import { AdminServer, newToken } from 'handover/admin'; const token = newToken();" +
    "const supervisor = new Supervisor({ script: process.cwd() + '/app.mjs' }); const admin = new AdminServer(supervisor, { port: 0, token });" +
    "const { port } = await admin.start(); for (const path of ['?token=' + token, 'metrics']) {" +
    "const { status } = await fetch('http://127.0.0.1:' + port + '/' + path); if (status !== 200) throw new Error(path + status) }" +
    'await admin.stop()'
  run('node', ['--input-type=module', '--eval', seen], { cwd: folder })
  await answers(join(folder, 'node_modules/.bin/handover'), ['run', '-w', '2', 'app.mjs'])
  console.log('the packed tarball works')
} finally {
  rmSync(folder, { recursive: true, force: true })
  // Left behind it would be loaded before the local build, however old it gets.
  if (!hadPrebuilds) rmSync('prebuilds', { recursive: true, force: true })
}

/** Starts the command, asks it once, and stops it; fails if it does not answer or does not leave with 0. */
async function answers(command, args) {
  const child = spawn(command, args, { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise((done) => child.on('exit', (code, signal) => done(code ?? signal)))
  let text = ''
  for await (const chunk of child.stdout) {
    text += chunk
    const address = /listening on (\S+)/.exec(text)?.[1]
    if (address === undefined) continue
    const body = await (await fetch(`http://${address}`, { headers: { connection: 'close' } })).text()
    if (body !== 'packed') throw new Error(`it answered ${body}`)
    break
  }
  child.stdout.resume()
  child.kill('SIGTERM')
  const code = await ended
  if (code !== 0) throw new Error(`the command ended with ${code}:\n${text}`)
}
