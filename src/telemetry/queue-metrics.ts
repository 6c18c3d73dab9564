/**
 * Queues of commands on their way: `commands` that an edge has submitted and no worker has accepted yet, `inboxes` of
 * commands that a worker has accepted and not finished, `turns` that wait for a slot.
 */
import { Counter, Gauge, type Registry } from 'prom-client'
import { TallyCounter, TallyHistogram } from './tally.js'

export type QueueName = 'commands' | 'inboxes' | 'turns'

/** One queue; each of these is a few additions. */
export interface QueueMetrics {
  enqueued(): void
  /** Taken out as intended, so long after it came or after its work began. */
  dequeued(seconds: number): void
  dropped(reason: string): void
  /** Reads how much waits, when the page is read. */
  watch(depth: () => number): void
}

export type Queues = (name: QueueName) => QueueMetrics

/** From an acceptance within a millisecond to the longest turn that is not suspicious. */
const BOUNDS_S = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 300, 900]

export function queueMetrics(registry: Registry): Queues {
  const depths = new Map<QueueName, () => number>()
  new Gauge({
    name: 'wundr_queue_depth',
    help: 'What waits in a queue of this process now',
    labelNames: ['queue_name'],
    registers: [registry],
    collect() {
      for (const [queue_name, depth] of depths) this.set({ queue_name }, depth())
    },
  })
  const enqueued = new TallyCounter({ name: 'wundr_queue_enqueued_total', help: 'Put into a queue', registry })
  const dequeued = new TallyCounter({ name: 'wundr_queue_dequeued_total', help: 'Taken out as intended', registry })
  const dropped = new Counter({
    name: 'wundr_queue_dropped_total',
    help: 'Taken out, or not let in, without its work being done',
    labelNames: ['queue_name', 'reason'],
    registers: [registry],
  })
  const durations = new TallyHistogram({
    name: 'wundr_queue_processing_duration_seconds',
    help: 'commands: from submission to acceptance; inboxes: the work on a command; turns: the wait for a slot',
    bounds: BOUNDS_S,
    registry,
  })
  return (queue_name) => {
    const labels = { queue_name }
    const [into, outOf, duration] = [enqueued.child(labels), dequeued.child(labels), durations.child(labels)]
    return {
      enqueued: () => {
        into.count += 1
      },
      dequeued: (seconds) => {
        outOf.count += 1
        duration.observe(seconds)
      },
      dropped: (reason) => dropped.inc({ queue_name, reason }),
      watch: (depth) => {
        depths.set(queue_name, depth)
      },
    }
  }
}
