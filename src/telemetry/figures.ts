/**
 * The few figures of a process that its log tells from time to time, for those who have nobody to gather metrics.
 */
import type { Registry } from 'prom-client'

/** By what a person calls it: the family of metrics, whose series are added up. Counters count from the start on. */
const FAMILIES: Readonly<Record<string, string>> = {
  connections: 'wundr_ws_connections_active',
  waiting: 'wundr_queue_depth',
  commands: 'orchestrator_commands_total',
  tasks: 'wundr_agent_spawned_total',
  failed: 'wundr_agent_failed_total',
  modelCalls: 'wundr_model_requests_total',
  tokens: 'wundr_model_request_tokens_total',
}
const BYTES_PER_MB = 1_048_576

export type Figures = Readonly<Record<string, number>>

/** Of the families that this process has. */
export async function figuresOf(registry: Registry): Promise<Figures> {
  const figures: Record<string, number> = {}
  for (const [figure, family] of Object.entries(FAMILIES)) {
    const metric = registry.getSingleMetric(family)
    if (!metric) continue
    const { values } = (await metric.get()) as { readonly values: readonly { readonly value: number }[] }
    figures[figure] = values.reduce((sum, { value }) => sum + value, 0)
  }
  return { ...figures, memoryMb: Math.round(process.memoryUsage.rss() / BYTES_PER_MB) }
}
