/**
 * What a node counts of delegations that it has brought to their end.
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { LabelLimit, MAX_ORCHESTRATORS } from './label-limit.js'

export interface DelegationEnd {
  readonly from: string
  /** Who did it; '' where nobody could be found. */
  readonly to: string
  readonly status: string
  readonly seconds: number
}

export interface FederationMetrics {
  delegated(end: DelegationEnd): void
  /** Read when the page is. */
  watch(figures: { registered(): number; open(): number }): void
}

/** From an echo to the longest that a delegation may take by default, and beyond. */
const BOUNDS_S = [0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3_600]

export function federationMetrics(registry: Registry): FederationMetrics {
  const registers = [registry]
  const delegations = new Counter({
    name: 'orchestrator_federation_delegations_total',
    help: 'Delegations that ended, by who asked, who did it, and how',
    labelNames: ['from_orchestrator', 'to_orchestrator', 'status'],
    registers,
  })
  const durations = new Histogram({
    name: 'orchestrator_federation_delegation_duration_seconds',
    help: 'From when a delegation was asked for to its end',
    labelNames: ['status'],
    buckets: BOUNDS_S,
    registers,
  })
  const [from, to] = [new LabelLimit(MAX_ORCHESTRATORS), new LabelLimit(MAX_ORCHESTRATORS)]
  return {
    delegated: (end) => {
      const { status } = end
      delegations.inc({ from_orchestrator: from.of(end.from), to_orchestrator: to.of(end.to), status })
      durations.observe({ status }, end.seconds)
    },
    watch: (figures) => {
      gauge(registry, 'orchestrator_federation_registered', 'Orchestrators with a sign of life', figures.registered)
      gauge(registry, 'orchestrator_federation_delegations_open', 'Delegations that this node sees to', figures.open)
    },
  }
}

function gauge(registry: Registry, name: string, help: string, read: () => number): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(read())
    },
  })
}
