/**
 * Everything this process counts, behind methods that name the occasion. Families of a part appear when the part asks for
 * them, so that a worker's page is silent about WebSockets.
 */
import { Gauge, Registry, Summary } from 'prom-client'
import { VERSION } from '../version.js'
import type { GaugeSample } from './alerts.js'
import { type BudgetMetrics, budgetMetrics } from './budget-metrics.js'
import { type Channels, channelMetrics } from './channel-metrics.js'
import { type ClusterMetrics, clusterMetrics } from './cluster-metrics.js'
import { type EdgeMetrics, edgeMetrics } from './edge-metrics.js'
import { type FederationMetrics, federationMetrics } from './federation-metrics.js'
import { type Figures, figuresOf } from './figures.js'
import { type JobMetrics, jobMetrics } from './job-metrics.js'
import { type MemoryMetrics, memoryMetrics } from './memory-metrics.js'
import { type CallMetrics, callMetrics, PERCENTILES, SUMMARY_WINDOW } from './model-metrics.js'
import { type NeolithMetrics, neolithMetrics } from './neolith-metrics.js'
import { type PartMetrics, partMetrics } from './part-metrics.js'
import { type PluginMetrics, pluginMetrics } from './plugin-metrics.js'
import { processMetrics } from './process-metrics.js'
import { type Queues, queueMetrics } from './queue-metrics.js'
import { type WorkerMetrics, workerMetrics } from './worker-metrics.js'

export type { BudgetMetrics } from './budget-metrics.js'
export type { ClusterMetrics } from './cluster-metrics.js'
export type { ChannelMeter, EdgeMetrics } from './edge-metrics.js'
export type { FederationMetrics } from './federation-metrics.js'
export type { JobMetrics } from './job-metrics.js'
export type { MemoryMetrics } from './memory-metrics.js'
export type { ModelCall, ToolCall } from './model-metrics.js'
export type { NeolithMetrics } from './neolith-metrics.js'
export type { PluginMetrics, PluginRun, PluginUse } from './plugin-metrics.js'
export type { MeteredSession, SessionMeter } from './session-metrics.js'
export type { BusySession, CommitOutcome, TurnOutcome, WorkerMetrics } from './worker-metrics.js'

export interface Metrics extends Pick<CallMetrics, 'modelCall' | 'toolCall' | 'toolsWaiting'>, PartMetrics {
  readonly edge: EdgeMetrics
  readonly worker: WorkerMetrics
  readonly jobs: JobMetrics
  readonly budgets: BudgetMetrics
  readonly federation: FederationMetrics
  readonly memory: MemoryMetrics
  readonly cluster: ClusterMetrics
  readonly neolith: NeolithMetrics
  readonly plugins: PluginMetrics
  /** A page was answered; `endpoint` is one of a few paths, never what a stranger asked for. */
  pageServed(method: string, endpoint: string, seconds: number): void
  /** What the log tells from time to time. */
  figures(): Promise<Figures>
  /** The series of a family as they stand; none where this process does not have it. */
  samples(family: string): Promise<readonly GaugeSample[]>
  /** The page that Prometheus reads, and its content type. */
  page(): Promise<{ readonly type: string; readonly body: string }>
  /** Begins to watch the event loop. May be called once. */
  start(): void
  /** May be called twice. */
  stop(): void
}

/** Counts into a registry of its own, so that two services in one process do not mix. `node` names this process. */
export function createMetrics(node = 'node'): Metrics {
  const registry = new Registry()
  const watchLag = processMetrics(registry)
  buildMetrics(registry)
  const pageServed = pageMetrics(registry)
  let stopWatching: (() => void) | undefined
  const queues = once<Queues>(() => queueMetrics(registry))
  const calls = once<CallMetrics>(() => callMetrics(registry))
  const channels = once<Channels>(() => channelMetrics(registry))
  const edge = once<EdgeMetrics>(() => edgeMetrics(registry, queues(), channels()))
  const worker = once<WorkerMetrics>(() =>
    // Model and tool families from the start: an alert on their failures must find them before the first one.
    workerMetrics(registry, queues(), calls().providerOf, node),
  )
  const federation = once<FederationMetrics>(() => federationMetrics(registry))
  const jobs = once<JobMetrics>(() => jobMetrics(registry))
  const budgets = once<BudgetMetrics>(() => budgetMetrics(registry))
  const memory = once<MemoryMetrics>(() => memoryMetrics(registry))
  const cluster = once<ClusterMetrics>(() => clusterMetrics(registry))
  const plugins = once<PluginMetrics>(() => pluginMetrics(registry))
  const neolith = once<NeolithMetrics>(() => neolithMetrics(registry, channels().of('neolith')))
  return {
    ...partMetrics(registry),
    get federation() {
      return federation()
    },
    get edge() {
      return edge()
    },
    get worker() {
      return worker()
    },
    get jobs() {
      return jobs()
    },
    get budgets() {
      return budgets()
    },
    get memory() {
      return memory()
    },
    get cluster() {
      return cluster()
    },
    get neolith() {
      return neolith()
    },
    get plugins() {
      return plugins()
    },
    modelCall: (call) => calls().modelCall(call),
    toolCall: (call) => calls().toolCall(call),
    toolsWaiting: (change) => calls().toolsWaiting(change),
    pageServed,
    figures: () => figuresOf(registry),
    samples: async (family) => {
      const metric = await registry.getSingleMetric(family)?.get()
      return (metric?.values ?? []) as readonly GaugeSample[]
    },
    page: async () => ({ type: registry.contentType, body: await registry.metrics() }),
    start: () => {
      stopWatching = watchLag()
    },
    stop: () => stopWatching?.(),
  }
}

/** Two versions at once are a roll-out that has not come to its end. */
function buildMetrics(registry: Registry): void {
  const help = 'Always 1; the label tells the version'
  const info = new Gauge({ name: 'orchestrator_build_info', help, labelNames: ['version'], registers: [registry] })
  info.set({ version: VERSION }, 1)
}

function pageMetrics(registry: Registry): Metrics['pageServed'] {
  const durations = new Summary({
    name: 'wundr_request_duration_summary_seconds',
    help: 'How long HTTP pages took',
    percentiles: PERCENTILES,
    ...SUMMARY_WINDOW,
    labelNames: ['method', 'endpoint'],
    registers: [registry],
  })
  return (method, endpoint, seconds) => durations.observe({ method, endpoint }, seconds)
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}
