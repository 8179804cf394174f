/** An authority for certificates, made with openssl, whose clients trust it alone. */

import { spawnSync } from 'node:child_process'
import { createHash, X509Certificate } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { scratch } from './paths.js'

export interface Issued {
  certFile: string
  keyFile: string
  /** Both in one file, as HAProxy wants them. */
  bothFile: string
  /** The digest of its key, as Chromium wants it. */
  spki: string
}

export interface Authority {
  certFile: string
  cert: Buffer
  /** A key, and a certificate for these names; the first is its common name. */
  issue(...names: string[]): Issued
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

/** All its files go with the test. */
export function authority(t: TestContext): Authority {
  const folder = scratch(t)
  const file = (name: string): string => join(folder, name)
  openssl(
    'req',
    '-x509',
    ...KEY,
    '-days',
    '2',
    '-subj',
    '/CN=The test',
    '-keyout',
    file('ca.key'),
    '-out',
    file('ca.pem'),
  )
  return {
    certFile: file('ca.pem'),
    cert: readFileSync(file('ca.pem')),
    issue(...names) {
      const [first] = names
      const [key, cert, both] = [file(`${first}.key`), file(`${first}.pem`), file(`${first}.both`)]
      openssl('req', '-new', ...KEY, '-subj', `/CN=${first}`, '-keyout', key, '-out', file('request'))
      writeFileSync(file('extensions'), `subjectAltName=${names.map((name) => `DNS:${name}`).join(',')}\n`)
      const by = ['-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial']
      openssl('x509', '-req', '-in', file('request'), ...by, '-days', '2', '-extfile', file('extensions'), '-out', cert)
      writeFileSync(both, Buffer.concat([readFileSync(cert), readFileSync(key)]))
      const spki = new X509Certificate(readFileSync(cert)).publicKey.export({ type: 'spki', format: 'der' })
      return { certFile: cert, keyFile: key, bothFile: both, spki: createHash('sha256').update(spki).digest('base64') }
    },
  }
}

function openssl(...args: string[]): void {
  const { status, stderr } = spawnSync('openssl', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`openssl ${args[0]}: ${stderr}`)
}
