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
  const { endpoint, tracesEndpoint, exporter, disabled, ...settings } = tracing
  const url = tracesEndpoint ?? (endpoint && `${endpoint.replace(/\/$/, '')}/v1/traces`)
  if (url === undefined || exporter === 'none' || disabled) return undefined
  const { OtlpTracing } = await import('./otlp.js')
  return new OtlpTracing({ ...settings, url }, node, log)
}
