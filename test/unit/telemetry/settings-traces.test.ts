/**
 * What becomes of the settings of tracing before the first span: where the collector is, how it is spoken to, how many spans
 * may wait for it.
 */
import { expect, test, vi } from 'vitest'
import { loadConfig } from '../../../src/config/load.js'
import { openTracing } from '../../../src/telemetry/open-tracing.js'
import { effect } from '../../support/settings-fixture.js'
import { startTraceCollector } from '../../support/trace-collector.js'

const NODE = { node: 'n1', role: 'all', version: '1' }
const load = (env: Record<string, string>) => loadConfig({ flags: {}, env, cwd: '/nowhere' })
const quiet = { warn: vi.fn() }
/** Addresses that exporters were made for. */
const made = vi.hoisted((): unknown[] => [])

vi.mock('@opentelemetry/exporter-trace-otlp-proto', async (original) => {
  const real = await original<{ OTLPTraceExporter: new (options: { url: string }) => object }>()
  class OTLPTraceExporter extends real.OTLPTraceExporter {
    constructor(options: { url: string }) {
      super(options)
      made.push(options.url)
    }
  }
  return { ...real, OTLPTraceExporter }
})

effect(['TRACING_ENABLED'], 'without a collector means the usual one on this machine', async () => {
  const tracing = await openTracing(load({ TRACING_ENABLED: 'true' }), NODE, quiet)
  await tracing?.stop()

  expect(made).toEqual(['http://localhost:4318/v1/traces'])
})

effect(['OTEL_BSP_MAX_QUEUE_SIZE'], 'bounds the spans that wait, also as TRACING_MAX_SPANS', async () => {
  const sentWith = async (env: Record<string, string>): Promise<number> => {
    const collector = await startTraceCollector()
    const tracing = await openTracing(load({ ...env, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url }), NODE, quiet)
    for (let count = 0; count < 500; count++) tracing?.start('work', {}).end()
    await tracing?.stop()
    collector.stop()
    return collector.spans.length
  }

  expect(await sentWith({})).toBe(500)
  for (const name of ['OTEL_BSP_MAX_QUEUE_SIZE', 'TRACING_MAX_SPANS']) {
    // One batch on its way, and as many that wait.
    expect(await sentWith({ [name]: '20' })).toBeLessThanOrEqual(40)
  }
})

effect(['TRACING_SPAN_TTL_MS'], 'is taken with a warning: nothing is kept here', async () => {
  const { warnings } = load({ TRACING_SPAN_TTL_MS: '3600000' })

  expect(warnings.join()).toContain('TRACING_SPAN_TTL_MS has no effect: spans are sent to a collector')
})

test('who asks for gRPC hears in the first sentence that it is not there, and what is', () => {
  const start = () => load({ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' })

  expect(start).toThrow(/OTEL_EXPORTER_OTLP_PROTOCOL must be one of http\/protobuf, http\/json \(grpc is not offered/)
})
