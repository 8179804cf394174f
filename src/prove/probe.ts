import http from 'node:http'
import { DriverError } from './driver.js'

/** Milliseconds for the first answer. */
const PROBE_TIME = 10_000

/** Asks once, to learn who answers. @throws {DriverError} nobody, or with a failure */
export function probe(url: string, path: string): Promise<{ own: boolean; status: number }> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => reject(new DriverError(`${url}${path} does not answer: ${why}`))
    const request = http.get(url + path, { agent: false, headers: { 'prove-id': 'probe' } }, (response) => {
      const { statusCode: status = 0, headers } = response.resume()
      if (status >= 500) return fail(`status ${status}`)
      resolve({ own: headers['prove-id'] === 'probe' && headers['prove-pid'] !== undefined, status })
    })
    request.setTimeout(PROBE_TIME, () => request.destroy(new Error('not in time')))
    request.on('error', (error) => fail(error.message))
  })
}
