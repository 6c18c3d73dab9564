/**
 * What a node counts of memory: how much there is, and how it is searched.
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { LabelLimit, MAX_ORCHESTRATORS } from './label-limit.js'

export interface MemoryTotal {
  readonly tier: string
  readonly orchestratorId: string
  readonly items: number
  readonly bytes: number
}

export interface MemoryMetrics {
  /** `tier` is `all` for a search of several. */
  searched(tier: string, orchestratorId: string, seconds: number): void
  /** Whether the size of a memory was known, or had to be read. */
  sizeKnown(known: boolean): void
  /** Everything that is valid. */
  measured(totals: readonly MemoryTotal[]): void
}

const LATENCY_BOUNDS_S = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5]
const SIZES = { tier: 'all' } as const

export function memoryMetrics(registry: Registry): MemoryMetrics {
  const registers = [registry]
  const gauge = (name: string, help: string, labelNames: string[]) => new Gauge({ name, help, labelNames, registers })
  const counter = (name: string, help: string, labelNames: string[]) =>
    new Counter({ name, help, labelNames, registers })
  const limit = new LabelLimit(MAX_ORCHESTRATORS)
  const entries = gauge('wundr_memory_entries_total', 'Valid items of memory', ['tier', 'orchestrator_id'])
  const bytes = gauge('wundr_memory_bytes', 'Text of valid items of memory', ['tier'])
  const searches = counter('wundr_memory_searches_total', 'Searches of memory', ['orchestrator_id'])
  const hits = counter('wundr_memory_cache_hits_total', 'Searches that knew the size of the memory', ['tier'])
  const misses = counter('wundr_memory_cache_misses_total', 'Searches that had to read it', ['tier'])
  const latencies = new Histogram({
    name: 'wundr_memory_search_latency_seconds',
    help: 'How long searches of memory took',
    labelNames: ['tier'],
    buckets: LATENCY_BOUNDS_S,
    registers,
  })
  return {
    searched: (tier, orchestratorId, seconds) => {
      searches.inc({ orchestrator_id: limit.of(orchestratorId) })
      latencies.observe({ tier }, seconds)
    },
    sizeKnown: (known) => (known ? hits : misses).inc(SIZES),
    measured: (totals) => {
      entries.reset()
      bytes.reset()
      for (const total of totals) {
        entries.inc({ tier: total.tier, orchestrator_id: limit.of(total.orchestratorId) }, total.items)
        bytes.inc({ tier: total.tier }, total.bytes)
      }
    },
  }
}
