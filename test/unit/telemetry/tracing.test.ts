/**
 * Tracing costs nothing where it is off, and says seldom and in a word that a collector does not take what it is sent.
 */
import { expect, test, vi } from 'vitest'
import { loadConfig } from '../../../src/config/load.js'
import { openTracing } from '../../../src/telemetry/open-tracing.js'
import type { Tracing } from '../../../src/telemetry/tracing.js'
import { startTraceCollector } from '../../support/trace-collector.js'

const NODE = { node: 'n1', role: 'all', version: '1' }
const load = (env: Record<string, string>) => loadConfig({ flags: {}, env, cwd: '/nowhere' })
const loaded = vi.hoisted(() => ({ times: 0 }))

vi.mock('../../../src/telemetry/otlp.js', async (original) => {
  loaded.times += 1
  return await original()
})

test.each([
  [{}],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', OTEL_SDK_DISABLED: 'true' }],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', OTEL_TRACES_EXPORTER: 'none' }],
])('with %j there is no tracing, and its library is not loaded', async (env) => {
  expect(await openTracing(load(env), NODE, { warn: vi.fn() })).toBeUndefined()
  expect(loaded.times).toBe(0)
})

test('a span that is not made costs no memory, not even for its attributes', () => {
  const collect = globalThis.gc
  const off = [undefined] as (Tracing | undefined)[]
  const work = (rounds: number) => {
    for (let round = 0; round < rounds; round++) {
      const span = off[0]?.start(`round ${round}`, { attributes: { round, text: `text ${round}` } })
      span?.end({ attributes: { round } })
    }
  }
  work(100_000)
  collect?.()
  const before = process.memoryUsage().heapUsed
  work(1_000_000)
  const bytes = process.memoryUsage().heapUsed - before

  // One object each would be tens of megabytes; what the test's own frame does is far less.
  expect(bytes / 1_000_000).toBeLessThan(1)
})

test('a collector that takes nothing is told of in the log, and ends nothing', async () => {
  const collector = await startTraceCollector(500)
  const warn = vi.fn()
  const tracing = await openTracing(load({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url }), NODE, { warn })

  tracing?.start('work', {}).end()
  tracing?.start('more', {}).end({ error: 'late' })
  await tracing?.stop()
  collector.stop()

  expect(loaded.times).toBe(1)
  expect(warn).toHaveBeenCalledWith(expect.anything(), 'spans could not be sent and are lost')
})

test('spans hang under the context they are given, keep whether it is recorded, and end once', async () => {
  const collector = await startTraceCollector()
  const config = load({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${collector.url}/v1/traces` })
  const tracing = await openTracing(config, NODE, { warn: vi.fn() })
  const trace = '0af7651916cd43dd8448eb211c80319c'
  const above = `00-${trace}-b7ad6b7169203331-01`

  const span = tracing?.start('upper', {
    parent: above,
    link: above,
    kind: 'server',
    startedAt: performance.now() - 50,
  })
  span?.child('lower', { attributes: { left: undefined, many: ['a', 'b'] } }).end({ error: 'broken' })
  span?.end({ attributes: { first: true } })
  span?.end({ error: 'second' })
  const unrecorded = tracing?.start('unrecorded', { parent: `00-${trace}-b7ad6b7169203331-00` })
  unrecorded?.end()
  await tracing?.stop()
  collector.stop()

  const [lower, upper] = ['lower', 'upper'].map((name) => collector.spans.find((each) => each.name === name))
  expect(collector.spans).toHaveLength(2)
  expect(upper).toMatchObject({ traceId: trace, parentSpanId: 'b7ad6b7169203331', hasFailed: false })
  expect(upper).toMatchObject({ links: ['b7ad6b7169203331'], attributes: { first: true } })
  expect((upper?.endMs ?? 0) - (upper?.startMs ?? 0)).toBeGreaterThanOrEqual(50)
  expect(lower).toMatchObject({ parentSpanId: upper?.spanId, hasFailed: true })
  expect(lower?.attributes).toEqual({ many: ['a', 'b'], 'error.type': 'broken' })
  expect(unrecorded?.traceparent).toMatch(new RegExp(`^00-${trace}-[0-9a-f]{16}-00$`))
})
