/**
 * Health, readiness and the pages that show them.
 */
import { createServer } from 'node:http'
import { describe, expect, onTestFinished, test } from 'vitest'
import { AdminServer } from '../../../src/telemetry/admin-server.js'
import { Alerts } from '../../../src/telemetry/alerts.js'
import { Health } from '../../../src/telemetry/health.js'
import { silentLog } from '../../../src/telemetry/log.js'
import { LogLevelSwitch } from '../../../src/telemetry/log-level.js'
import { createMetrics } from '../../../src/telemetry/metrics.js'
import { jsonPage, Pages } from '../../../src/telemetry/pages.js'

const works = async (): Promise<void> => {}
const fails = async (): Promise<void> => {
  throw new Error('connection to redis://u:secret@h refused')
}
const hangs = (): Promise<void> => new Promise(() => {})

describe('health', () => {
  test('is healthy when all parts work', async () => {
    const health = new Health()
    health.register('redis', works)

    expect(await health.check()).toMatchObject({ status: 'healthy', checks: { redis: { status: 'healthy' } } })
  })

  test('is unhealthy when a critical part fails and degraded when another does', async () => {
    const degraded = new Health()
    degraded.register('redis', works)
    degraded.register('model', fails, { critical: false })
    const unhealthy = new Health()
    unhealthy.register('redis', fails)
    unhealthy.register('model', fails, { critical: false })

    expect(await degraded.check()).toMatchObject({ status: 'degraded', checks: { model: { status: 'unhealthy' } } })
    expect((await unhealthy.check()).status).toBe('unhealthy')
  })

  test('does not wait for a part that hangs', async () => {
    const health = new Health(20)
    health.register('redis', hangs)

    expect((await health.check()).checks.redis).toMatchObject({ status: 'unhealthy', error: 'no answer within 20 ms' })
  })

  test('asks each part once for many callers at one time', async () => {
    let asked = 0
    const health = new Health()
    health.register('redis', async () => {
      asked++
    })

    await Promise.all(Array.from({ length: 50 }, () => health.check()))

    expect(asked).toBe(1)
  })

  test('is ready only when the process says so and no critical part fails', async () => {
    const health = new Health()
    expect(await health.readiness()).toEqual({ ready: false, message: 'starting' })

    health.setReadiness({ ready: true, message: 'ready' })
    expect(await health.readiness()).toEqual({ ready: true, message: 'ready' })

    health.register('redis', fails)
    expect(await health.readiness()).toEqual({ ready: false, message: 'not working: redis' })
  })
})

describe('the admin server', () => {
  async function started(health = new Health(), metrics = createMetrics(), corsOrigins?: readonly string[]) {
    const logLevel = new LogLevelSwitch('info')
    const alerts = new Alerts({ samples: (family) => metrics.samples(family), log: silentLog })
    const pages = new Pages({ metrics, health, alerts, metricsPath: '/metrics', version: '1.2.3', logLevel })
    const server = new AdminServer({ host: '127.0.0.1', port: 0, pages, log: silentLog, corsOrigins })
    await server.start()
    onTestFinished(() => server.stop())
    return {
      server,
      metrics,
      logLevel,
      get: (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${server.port}${path}`, init),
    }
  }

  test('H-02: shows what was counted, and the process, to Prometheus', async () => {
    const { metrics, get } = await started()
    metrics.edge.connections(1)
    metrics.edge.accepted(0.2)
    metrics.worker.turnEnded('completed', 1.5)
    metrics.modelCall({
      provider: 'openai',
      model: 'm',
      seconds: 1,
      promptTokens: 10,
      completionTokens: 5,
      costDollars: 0.01,
    })

    const body = await (await get('/metrics')).text()

    expect(body).toContain('wundr_ws_connections_active 1')
    expect(body).toContain('orchestrator_commands_total{outcome="accepted"} 1')
    expect(body).toContain('orchestrator_turn_seconds_count{outcome="completed"} 1')
    expect(body).toContain('wundr_model_request_tokens_total{provider="openai",model="m",token_type="completion"} 5')
    expect(body).toContain('process_resident_memory_bytes')
  })

  test('answers /health with 503 when unhealthy, and without the password of what failed', async () => {
    const health = new Health()
    health.register('redis', fails)
    const { get } = await started(health)

    const response = await get('/health?verbose=1')

    expect(response.status).toBe(503)
    const text = await response.text()
    expect(JSON.parse(text)).toMatchObject({
      status: 'unhealthy',
      version: '1.2.3',
      checks: { redis: { status: 'unhealthy' } },
    })
    expect(text).not.toContain('secret')
  })

  test('says what somebody should know of, and nothing where there is nothing', async () => {
    const health = new Health()
    health.register('redis', fails)
    const { metrics, get } = await started(health)
    expect(await (await get('/alerts')).json()).toMatchObject({ alerts: [] })

    metrics.watchParts(() => health.check())

    expect(await (await get('/alerts')).json()).toMatchObject({
      alerts: [{ name: 'OrchestratorPartDown', state: 'pending', labels: { part: 'redis' }, value: 0 }],
    })
  })

  test('H-08: has a page at its root that names the others, in which nothing of a client is HTML', async () => {
    const metrics = createMetrics()
    metrics.budgets.utilization({ scope: 'orchestrator', id: '<script>x</script>', period: 'daily' }, 99)
    const health = new Health()
    health.setReadiness({ ready: true, message: 'ready' })
    const { get } = await started(health, metrics)

    const response = await get('/')
    const html = await response.text()

    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
    const paths = [...html.matchAll(/href="([^"]+)"/g)].map(([, path = '']) => path)
    expect(paths).toEqual(['/metrics', '/alerts', '/health', '/ready', '/accepting', '/live', '/loglevel'])
    for (const path of paths) expect((await get(path)).status, path).not.toBe(404)
    expect(html).toContain('A budget is nearly used up')
    expect(html).toContain('&lt;script&gt;')
    expect(html).not.toContain('<script')
  })

  test('lets pages of the origins that are named read it, and nobody’s page change anything', async () => {
    const page = 'https://board.example'
    const { get } = await started(new Health(), createMetrics(), [page])
    const allowOf = async (origin: string) =>
      (await get('/alerts', { headers: { origin } })).headers.get('access-control-allow-origin')
    const asked = await get('/loglevel', {
      method: 'OPTIONS',
      headers: { origin: page, 'access-control-request-method': 'POST' },
    })

    expect([await allowOf(page), await allowOf('https://other.example')]).toEqual([page, null])
    expect([asked.status, asked.headers.get('access-control-allow-methods')]).toEqual([204, 'GET, HEAD'])
    expect((await get('/loglevel', { headers: { origin: page } })).status).toBe(403)
  })

  test('without origins no page of another may read it, and a preflight is a method that is not allowed', async () => {
    const { get } = await started()
    const headers = { origin: 'https://board.example', 'access-control-request-method': 'GET' }

    expect((await get('/alerts', { headers })).headers.get('access-control-allow-origin')).toBeNull()
    expect((await get('/alerts', { method: 'OPTIONS', headers })).status).toBe(405)
  })

  test('is alive before it is ready', async () => {
    const { get } = await started()

    expect((await get('/live')).status).toBe(200)
    expect((await get('/ready')).status).toBe(503)
  })

  test('tells a load balancer by 404 that it takes no clients now, and by 200 that it does', async () => {
    const health = new Health()
    const { get } = await started(health)

    expect([(await get('/accepting')).status, (await get('/ready')).status]).toEqual([404, 503])
    health.setReadiness({ ready: true, message: 'ready' })
    expect((await get('/accepting')).status).toBe(200)
    health.setReadiness({ ready: false, message: 'draining' })
    expect(await (await get('/accepting')).json()).toMatchObject({ ready: false, message: 'draining' })
  })

  test('does not let a load balancer wait for a store that does not answer', async () => {
    const health = new Health()
    health.setReadiness({ ready: true, message: 'ready' })
    health.register('redis', () => new Promise(() => {}))
    const { get } = await started(health)

    const response = await get('/accepting', { signal: AbortSignal.timeout(2_000) })

    expect(response.status).toBe(404)
    expect(await response.json()).toMatchObject({ ready: false, message: 'no answer of a store within 1000 ms' })
  })

  test('answers other paths with 404 and other methods with 405', async () => {
    const { get } = await started()

    const [missing, forbidden] = [await get('/none'), await get('/live', { method: 'POST' })]

    expect([missing.status, await missing.json()]).toEqual([404, { error: 'Not found' }])
    expect([forbidden.status, await forbidden.json()]).toEqual([405, { error: 'Method not allowed' }])
  })

  test('H-08: changes the level of the log for somebody at this machine, and resets it', async () => {
    const { get, logLevel } = await started()
    const post = (body: string, headers = {}) => get('/loglevel', { method: 'POST', body, headers })

    expect(await (await get('/loglevel')).json()).toEqual({ level: 'info' })
    expect(await (await post('{"level":"debug"}')).json()).toEqual({ level: 'debug' })
    expect(logLevel.current).toBe('debug')
    expect(await (await post('{"reset":true}')).json()).toEqual({ level: 'info' })
  })

  test.each(['', 'debug', '{"level":"loud"}', '{"reset":false}', '[]', 'null'])(
    'refuses %j as a change of the level, and says what it expects',
    async (body) => {
      const { get, logLevel } = await started()

      const response = await get('/loglevel', { method: 'POST', body })

      expect(response.status).toBe(400)
      expect(await response.text()).toContain('reset')
      expect(logLevel.current).toBe('info')
    },
  )

  test.each(['x-forwarded-for', 'origin', 'forwarded'])(
    'keeps the level of the log from whoever speaks through this machine, as %s tells',
    async (name) => {
      const { get, logLevel } = await started()
      const headers = { [name]: 'http://elsewhere.example' }

      const response = await get('/loglevel', { method: 'POST', body: '{"level":"debug"}', headers })

      expect(response.status).toBe(403)
      expect(logLevel.current).toBe('info')
    },
  )

  test('reads no more of a body than a change of the level needs', async () => {
    const { get } = await started()

    expect((await get('/loglevel', { method: 'POST', body: 'x'.repeat(2_000) })).status).toBe(413)
  })

  test('answers HEAD like GET, without the page', async () => {
    const { get } = await started()

    const response = await get('/live', { method: 'HEAD' })

    expect([response.status, await response.text()]).toEqual([200, ''])
  })

  test('says in one sentence that its port is taken', async () => {
    const blocker = createServer()
    await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void blocker.close())
    const { port } = blocker.address() as { port: number }
    const server = new AdminServer({
      host: '127.0.0.1',
      port,
      pages: { answer: async () => jsonPage(200, {}) },
      log: silentLog,
    })

    await expect(server.start()).rejects.toThrow(`cannot listen on 127.0.0.1:${port} for metrics: it is in use`)
  })

  test('stops at once with a request under way, and twice', async () => {
    const server = new AdminServer({
      host: '127.0.0.1',
      port: 0,
      pages: { answer: () => new Promise(() => {}) },
      log: silentLog,
    })
    await server.start()
    const request = fetch(`http://127.0.0.1:${server.port}/slow`).catch(() => 'cut')

    await server.stop()
    await server.stop()

    expect(await request).toBe('cut')
  })
})
