/**
 * Health, readiness and the pages that show them.
 */
import { createServer } from 'node:http'
import { describe, expect, onTestFinished, test } from 'vitest'
import { AdminServer, createPages } from '../../../src/telemetry/admin-server.js'
import { Health } from '../../../src/telemetry/health.js'
import { silentLog } from '../../../src/telemetry/log.js'
import { createMetrics } from '../../../src/telemetry/metrics.js'

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
  async function started(health = new Health(), metrics = createMetrics()) {
    const pages = createPages({ metrics, health, metricsPath: '/metrics', version: '1.2.3' })
    const server = new AdminServer({ host: '127.0.0.1', port: 0, pages, log: silentLog })
    await server.start()
    onTestFinished(() => server.stop())
    return {
      server,
      metrics,
      get: (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${server.port}${path}`, init),
    }
  }

  test('shows what was counted, and the process, to Prometheus', async () => {
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

  test('is alive before it is ready', async () => {
    const { get } = await started()

    expect((await get('/live')).status).toBe(200)
    expect((await get('/ready')).status).toBe(503)
  })

  test('answers other paths with 404 and other methods with 405', async () => {
    const { get } = await started()

    expect((await get('/')).status).toBe(404)
    expect((await get('/live', { method: 'POST' })).status).toBe(405)
  })

  test('says in one sentence that its port is taken', async () => {
    const blocker = createServer()
    await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void blocker.close())
    const { port } = blocker.address() as { port: number }
    const server = new AdminServer({ host: '127.0.0.1', port, pages: async () => undefined, log: silentLog })

    await expect(server.start()).rejects.toThrow(`cannot listen on 127.0.0.1:${port} for metrics: it is in use`)
  })

  test('stops at once with a request under way, and twice', async () => {
    const server = new AdminServer({ host: '127.0.0.1', port: 0, pages: () => new Promise(() => {}), log: silentLog })
    await server.start()
    const request = fetch(`http://127.0.0.1:${server.port}/slow`).catch(() => 'cut')

    await server.stop()
    await server.stop()

    expect(await request).toBe('cut')
  })
})
