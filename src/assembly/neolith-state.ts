/**
 * What Neolith is told of the service, and what this process counts of the way to it.
 */
import type { ClusterView, LiveNode } from '../cluster/cluster.js'
import type { ServiceState } from '../neolith/reporter.js'
import type { CallObserver } from '../neolith/transport.js'
import type { Metrics } from '../telemetry/metrics.js'

const MB = 1024 * 1024

export interface FiguresFitting {
  readonly metrics: Pick<Metrics, 'neolith'>
  readonly view: Pick<ClusterView, 'nodes'>
  readonly entrance: () => { readonly connections: number }
}

export class NeolithFigures {
  readonly #fitting: FiguresFitting
  #sent = 0
  #received = 0
  #failedCalls = 0
  #reporting = false
  #lastEnd: string | undefined
  #cpu = { used: process.cpuUsage(), at: performance.now() }

  constructor(fitting: FiguresFitting) {
    this.#fitting = fitting
  }

  get traffic() {
    const [sent, received, failedCalls, reporting] = [this.#sent, this.#received, this.#failedCalls, this.#reporting]
    return { sent, received, failedCalls, reporting }
  }

  readonly called: CallObserver = (call, outcome, seconds) => {
    this.#fitting.metrics.neolith.called(call, outcome, seconds)
    if (outcome !== 'ok') this.#failedCalls += 1
  }

  readonly written = (): void => {
    this.#sent += 1
    this.#fitting.metrics.neolith.written()
  }

  readonly taken = (tasks: number): void => {
    this.#received += tasks
    this.#fitting.metrics.neolith.taken(tasks)
  }

  readonly reports = (reporting: boolean): void => {
    this.#reporting = reporting
  }

  readonly ended = (): void => {
    this.#lastEnd = new Date().toISOString()
  }

  /** Sessions and queues of the whole service; memory, processor and messages of this process. */
  state(): ServiceState {
    const nodes = this.#fitting.view.nodes()
    const workers = nodes.filter(({ role, status }) => status === 'live' && (role === 'worker' || role === 'all'))
    const sum = (figure: (node: LiveNode) => number): number => workers.reduce((all, node) => all + figure(node), 0)
    const [activeSessions, capacity, queueDepth] = [
      sum(({ load }) => load.busy),
      sum(({ load }) => load.capacity),
      sum(({ load }) => load.queued),
    ]
    return {
      works: workers.length > 0,
      status: activeSessions >= capacity ? 'busy' : 'active',
      metrics: {
        ...{ activeSessions, queueDepth, activeConnections: this.#connections(nodes) },
        memoryUsageMB: Math.round(process.memoryUsage.rss() / MB),
        cpuUsagePercent: this.#cpuPercent(),
        messagesProcessed: this.#sent + this.#received,
        errorsCount: this.#failedCalls,
        uptimeSeconds: Math.floor(process.uptime()),
        ...(this.#lastEnd !== undefined && { lastTaskCompletedAt: this.#lastEnd }),
      },
    }
  }

  /** Nodes with several roles do not tell their connections apart from their sessions; this one knows its own. */
  #connections(nodes: readonly LiveNode[]): number {
    const edges = nodes.filter(({ role }) => role === 'edge')
    if (edges.length === 0) return this.#fitting.entrance().connections
    return edges.reduce((all, { load }) => all + load.busy, 0)
  }

  /** Since the last time it was asked for. */
  #cpuPercent(): number {
    const now = { used: process.cpuUsage(), at: performance.now() }
    const usedMs = (now.used.user + now.used.system - this.#cpu.used.user - this.#cpu.used.system) / 1_000
    const elapsedMs = Math.max(1, now.at - this.#cpu.at)
    this.#cpu = now
    return Math.round((usedMs / elapsedMs) * 1_000) / 10
  }
}
