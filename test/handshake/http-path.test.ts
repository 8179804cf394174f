import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { normalPath } from '../../src/handshake/http-path.js'

test('escapes of letters, digits and -._~ are undone, others put in upper case', () => {
  assert.equal(normalPath('/%61p%69'), '/api')
  assert.equal(normalPath('/%41%5a%30%39%2d%5f%7E'), '/AZ09-_~')
  assert.equal(normalPath('/a%2fb%2Fc%20%c3%a9%00'), '/a%2Fb%2Fc%20%C3%A9%00')
  assert.equal(normalPath('/%2561'), '/%2561', 'once, not twice')
})

test('several slashes are one; the last one stays', () => {
  assert.equal(normalPath('//a///b//'), '/a/b/')
  assert.equal(normalPath('//'), '/')
  assert.equal(normalPath('/a/'), '/a/')
})

test('dots that are no segment stay', () => {
  for (const path of ['/.well-known/x', '/a.', '/...', '/a..b', '/..a', '/a/.b/..c/d..'])
    assert.equal(normalPath(path), path)
})

test('dot segments, backslashes and broken escapes are refused, however they are written', () => {
  for (const path of ['/..', '/./a', '/a/..', '/a/%2e', '/%2E%2e/', '//.//', '/a\\..', '/%', '/%4', '/%g0', '/%0g']) {
    assert.equal(normalPath(path), null, path)
  }
})

const paths = fc
  .array(fc.constantFrom('/', '/', '.', '..', 'a', 'api', '%61', '%2e', '%2F', '%25', '%', '\\', '6', '1', ' '), {
    maxLength: 12,
  })
  .map((pieces) => `/${pieces.join('')}`)

test('what comes out comes out again, and is what a URL would make of it', () => {
  fc.assert(
    fc.property(paths, (path) => {
      const normal = normalPath(path)
      if (normal === null) return
      assert.equal(normalPath(normal), normal)
      assert.ok(!normal.includes('//') && !normal.split('/').some((one) => one === '.' || one === '..'))
      // A server that resolves what we refuse finds nothing left to resolve.
      const { pathname } = new URL(`http://a.example${normal.replaceAll(' ', '%20')}`)
      assert.equal(pathname, normal.replaceAll(' ', '%20'))
    }),
    { numRuns: 1000 },
  )
})
