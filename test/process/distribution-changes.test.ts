/** However connections get to the workers, no request fails while their number changes, one is replaced, or a reload fails. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import test from 'node:test'
import { noLeak } from '../support/descriptors.js'
import { allAccept, load, MODES } from '../support/distributed.js'
import { APP, workers } from '../support/generations.js'
import { program } from '../support/programs.js'
import { supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

const readiness = { http: '/ready', interval: 20 }

for (const distribution of MODES) {
  test(`no request fails while workers are replaced, more and fewer, one after the other and all at once (${distribution})`, async (t) => {
    noLeak(t)
    const app = await supervise(t, { script: program(t, APP), workers: 3, distribution, readiness })
    const { supervisor } = app
    await allAccept(app)
    const requests = load({ port: app.port }, 6)
    for (const worker of [1, 2, 3]) await supervisor.replace(worker)
    await supervisor.scale(5)
    await supervisor.scale(2)
    await supervisor.reload({ rolling: true, healthWindow: 300 })
    await supervisor.reload({ workers: 4, healthWindow: 300 })
    await supervisor.reload({ workers: 1 })
    await requests.more(20)
    const { failed, bodies } = await requests.stop()
    assert.deepEqual(failed, [])
    assert.equal(bodies.at(-1), '4 1')
    assert.deepEqual(workers(app), ['4 1'])
    await allAccept(app)
  })

  for (const threads of [false, true]) {
    const kind = `${distribution}, ${threads ? 'threads' : 'processes'}`

    test(`when a generation is rolled back, or one place of it, no request fails that it had not accepted (${kind})`, async (t) => {
      noLeak(t)
      const app = await supervise(t, { script: program(t, APP), workers: 2, distribution, threads, readiness })
      const { supervisor } = app
      await allAccept(app)
      const requests = load({ port: app.port }, 6)
      const bad = APP.replace(
        "if (request.url === '/ready') {",
        "if (request.url === '/ready') {\n    if (asked > 9) response.statusCode = 500",
      ).replace(
        'response.statusCode = Number(READY_AFTER) >= 0 && asked > Number(READY_AFTER) ? 204 : 503',
        'response.statusCode = asked > 9 ? 500 : 204',
      )
      const script = program(t, bad)
      for (const rolling of [false, true]) {
        const back = once(supervisor, 'rolledBack')
        await assert.rejects(supervisor.reload({ script, rolling, healthWindow: 60_000 }), {
          code: 'ERR_HANDOVER_ROLLED_BACK',
          message: /status 500/,
        })
        await back
        await until('the new ones are gone', () => workers(app).join() === '1 1,1 2')
        await allAccept(app)
      }
      await requests.more(20)
      const { failed, bodies } = await requests.stop()
      assert.deepEqual(failed, [])
      assert.match(bodies.at(-1) ?? '', /^1 /)
    })
  }
}
