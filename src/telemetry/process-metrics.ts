/**
 * What a process is and uses. The names of the reference stand beside the ones that Prometheus' own clients have.
 */
import { performance } from 'node:perf_hooks'
import { Counter, collectDefaultMetrics, Gauge, Histogram, type Registry } from 'prom-client'

/** How late a timer may be looked at: often enough to see a stall, too seldom to cause one. */
const LAG_SAMPLE_MS = 500
/**
 * How often Node's own histogram looks, which counts this time in. Its default of 10 ms wakes a process that has nothing to
 * do a hundred times a second: 2.5 ms of CPU.
 */
const LOOP_SAMPLE_MS = 100
const LAG_BUCKETS_S = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 3, 8]
const MICROSECONDS_PER_SECOND = 1_000_000
const MS_PER_SECOND = 1_000

/** Registers the families; the returned function samples the lag of the event loop until the one it returns is called. */
export function processMetrics(registry: Registry): () => () => void {
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LOOP_SAMPLE_MS })
  memoryMetrics(registry)
  cpuMetrics(registry)
  const lag = new Histogram({
    name: 'wundr_process_event_loop_lag_seconds',
    help: 'How late a timer was',
    buckets: LAG_BUCKETS_S,
    registers: [registry],
  })
  return () => sampleLag((seconds) => lag.observe(seconds))
}

function memoryMetrics(registry: Registry): void {
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      ...{ name, help, registers: [registry] },
      collect() {
        this.set(read())
      },
    })
  gauge('wundr_process_memory_heap_bytes', 'JavaScript heap in use', () => process.memoryUsage().heapUsed)
  gauge('wundr_process_memory_rss_bytes', 'Memory of the process', () => process.memoryUsage.rss())
  gauge('wundr_process_memory_external_bytes', 'Memory outside the heap', () => process.memoryUsage().external)
  gauge('wundr_process_uptime_seconds', 'Since the process began', () => process.uptime())
}

function cpuMetrics(registry: Registry): void {
  const counter = (name: string, help: string, read: () => number) =>
    new Counter({
      ...{ name, help, registers: [registry] },
      collect() {
        this.reset()
        this.inc(read() / MICROSECONDS_PER_SECOND)
      },
    })
  counter('wundr_process_cpu_user_seconds_total', 'CPU time in the program', () => process.cpuUsage().user)
  counter('wundr_process_cpu_system_seconds_total', 'CPU time in the kernel', () => process.cpuUsage().system)
}

function sampleLag(observe: (seconds: number) => void): () => void {
  let due = performance.now() + LAG_SAMPLE_MS
  const timer = setInterval(() => {
    const now = performance.now()
    observe(Math.max(0, now - due) / MS_PER_SECOND)
    due = now + LAG_SAMPLE_MS
  }, LAG_SAMPLE_MS)
  timer.unref()
  return () => clearInterval(timer)
}
