/**
 * Writes what this process has to do into its log, every METRICS_INTERVAL.
 */
import { CpuMeter } from '../telemetry/cpu-meter.js'
import type { Log } from '../telemetry/log.js'
import type { Metrics } from '../telemetry/metrics.js'

export interface FigureLogOptions {
  readonly metrics: Pick<Metrics, 'figures'>
  readonly intervalMs: number
  readonly log: Pick<Log, 'info'>
}

export class FigureLog {
  readonly #options: FigureLogOptions
  readonly #cpu = new CpuMeter()
  #timer: NodeJS.Timeout | undefined

  constructor(options: FigureLogOptions) {
    this.#options = options
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.#tell(), this.#options.intervalMs).unref()
  }

  /** May be called twice. */
  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  async #tell(): Promise<void> {
    const figures = await this.#options.metrics.figures()
    if (this.#timer) this.#options.log.info({ ...figures, cpuPercent: this.#cpu.percent() }, 'figures')
  }
}
