/**
 * Tracing as the settings want it.
 */
import type { Config } from '../config/load.js'
import type { Log } from './log.js'
import type { OpenTracing, TracedNode } from './tracing.js'

/** Undefined where no collector is set, or where tracing is switched off: nothing is loaded then. */
export async function openTracing(
  { tracing }: Pick<Config, 'tracing'>,
  node: TracedNode,
  log: Pick<Log, 'warn'>,
): Promise<OpenTracing | undefined> {
  const url = collectorOf(tracing)
  if (url === undefined) return undefined
  const { openOtlp } = await import('./otlp.js')
  return await openOtlp({ ...tracing, url, protocol: tracing.tracesProtocol ?? tracing.protocol }, node, log)
}

/** Where OpenTelemetry looks for one when nobody says where it is. */
const USUAL_COLLECTOR = 'http://localhost:4318'

function collectorOf({ enabled, endpoint, tracesEndpoint, exporter, disabled }: Config['tracing']): string | undefined {
  if (enabled === false || exporter === 'none' || disabled) return undefined
  if (tracesEndpoint !== undefined) return tracesEndpoint
  const base = endpoint ?? (enabled ? USUAL_COLLECTOR : undefined)
  return base && `${base.replace(/\/$/, '')}/v1/traces`
}
