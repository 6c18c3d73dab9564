/**
 * What a node counts of its calls to Neolith, and of the tasks that come from there.
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { Channel } from './channel-metrics.js'

export interface NeolithMetrics {
  /** One request was answered, failed, or was kept back. */
  called(call: string, outcome: string, seconds: number): void
  taken(tasks: number): void
  /** A message was written there. */
  written(): void
  ended(status: string): void
  /** Read when the page is. */
  watch(figures: { breaker(): keyof typeof BREAKER; reporting(): boolean; open(): number }): void
}

const BREAKER = { closed: 0, 'half-open': 1, open: 2 } as const
/** From a neighbour to the time-out. */
const BOUNDS_S = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** What counts as a failure of the channel; an answer that says no is one as well. */
const WENT_WELL = 'ok'

export function neolithMetrics(registry: Registry, channel: Channel): NeolithMetrics {
  const registers = [registry]
  const calls = new Counter({
    name: 'orchestrator_neolith_requests_total',
    help: 'Requests to Neolith by what was asked for and what became of it',
    labelNames: ['call', 'outcome'],
    registers,
  })
  const durations = new Histogram({
    name: 'orchestrator_neolith_request_duration_seconds',
    help: 'How long requests to Neolith took',
    labelNames: ['call'],
    buckets: BOUNDS_S,
    registers,
  })
  const counter = (name: string, help: string) => new Counter({ name, help, registers })
  const taken = counter('orchestrator_neolith_tasks_taken_total', 'Tasks that came from Neolith')
  const written = counter('orchestrator_neolith_messages_total', 'Messages that were written to Neolith')
  const ended = new Counter({
    name: 'orchestrator_neolith_tasks_total',
    help: 'Tasks from Neolith that are over, by what became of them',
    labelNames: ['status'],
    registers,
  })
  return {
    called: (call, outcome, seconds) => {
      calls.inc({ call, outcome })
      if (outcome !== WENT_WELL) channel.failed(outcome).count += 1
      if (outcome === 'circuit_open') return
      durations.observe({ call }, seconds)
      channel.latency.observe(seconds)
    },
    taken: (tasks) => {
      taken.inc(tasks)
      channel.received('task').count += tasks
    },
    written: () => {
      written.inc()
      channel.sent('message').count += 1
    },
    ended: (status) => ended.inc({ status }),
    watch: ({ breaker, reporting, open }) => {
      gauge(
        'orchestrator_neolith_breaker_state',
        'Calls to Neolith: 0 go, 1 one tries, 2 are kept back',
        () => BREAKER[breaker()],
      )
      gauge('orchestrator_neolith_reporting', '1 when this node speaks to Neolith for the service', () =>
        Number(reporting()),
      )
      channel.watch(() => Number(reporting()))
      gauge('orchestrator_neolith_tasks_open', 'Tasks from Neolith that this node sees to', open)
    },
  }

  function gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      ...{ name, help, registers },
      collect() {
        this.set(read())
      },
    })
  }
}
