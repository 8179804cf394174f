/** Who is compared: each a port, the processes in front, and the two workers behind, one for each name. */
import { execFileSync } from 'node:child_process'
import { get } from 'node:http'
import { get as getTls } from 'node:https'
import { built, root } from '../compile.mjs'
import { answer, start } from '../contenders.mjs'
import { findProxies, startHaproxy, startNginx } from './proxies.mjs'

export const NAMES = ['a.example', 'b.example']

const APP = `${root}bench/handshake/app.mjs`
const ROUTES = `${root}bench/handshake/routes.mjs`

/** A key and a certificate for both names. */
export function makeCertificate(scratch) {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', `${scratch}/key.pem`]
  const names = ['-subj', `/CN=${NAMES[0]}`, '-addext', `subjectAltName=${NAMES.map((name) => `DNS:${name}`)}`]
  execFileSync('openssl', ['req', '-x509', '-days', '2', ...key, ...names, '-out', `${scratch}/cert.pem`], {
    stdio: ['ignore', 'ignore', 'ignore'],
  })
}

const first = NAMES[0]
const ask = (port) => answer(port, get, { headers: { host: first } })
const askTls = (port) => answer(port, getTls, { servername: first, rejectUnauthorized: false })

/**
 * handover with two workers.
 * @param routes  the inspection of this name in routes.mjs, or null: dispatched at once
 * @param tls     the certificate's folder, or null: HTTP
 */
async function handover(name, routes, tls) {
  const how = routes === null ? ['-w', '2'] : ['--handshake', ROUTES]
  const command = [
    process.execPath,
    built('cli/bin.js'),
    'run',
    '--no-control',
    ...how,
    APP,
    ...(tls === null ? [] : [tls]),
  ]
  const env = { ...process.env, ROUTES: routes ?? '' }
  const { port, master, workers } = await start({ name, command, env, ask: tls === null ? ask : askTls }, 2)
  return { name, ports: [port, port], front: [master], workers }
}

export const IMMEDIATE = 'handover, immediate'
export const ROUTED = 'handover, routed'
export const DIRECT = 'workers alone'

export async function overHttp() {
  return [await handover(IMMEDIATE, null, null), await handover(ROUTED, 'host', null)]
}

/** @returns those that pass short connections on, and those that pass long ones on */
export async function overTls(scratch) {
  const command = [process.execPath, APP, scratch]
  const a = await start({ name: DIRECT, command, ask: askTls }, 1)
  const b = await start({ name: DIRECT, command, ask: askTls }, 1)
  const workers = [a.master, b.master]
  const direct = { name: DIRECT, ports: [a.port, b.port], front: [], workers }
  const proxies = findProxies()
  const proxy = ({ port, front }, name) => ({ name, ports: [port, port], front, workers })
  const ports = { a: a.port, b: b.port }
  const routed = await handover(ROUTED, 'name', scratch)
  const nginx = proxy(await startNginx(proxies.nginx, scratch, ports), 'nginx stream')
  const haproxy = proxy(await startHaproxy(proxies.haproxy, scratch, ports, false), 'HAProxy')
  const spliced = proxy(await startHaproxy(proxies.haproxy, scratch, ports, true), 'HAProxy, splice')
  return {
    short: [await handover(IMMEDIATE, null, scratch), routed, nginx, haproxy, direct],
    long: [routed, nginx, haproxy, spliced, direct],
  }
}

/** For clients that mean no good. */
export function underAttack() {
  return handover(ROUTED, 'hostile', null)
}
