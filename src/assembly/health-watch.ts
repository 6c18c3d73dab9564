/**
 * Looks at the parts of this process from time to time, so that a part that fails is in the log before anybody asks.
 */
import type { Health, ProbeResult } from '../telemetry/health.js'
import type { Log } from '../telemetry/log.js'

export interface HealthWatchOptions {
  readonly health: Pick<Health, 'check'>
  readonly intervalMs: number
  readonly log: Pick<Log, 'info' | 'warn'>
}

export class HealthWatch {
  readonly #options: HealthWatchOptions
  readonly #failing = new Set<string>()
  #timer: NodeJS.Timeout | undefined

  constructor(options: HealthWatchOptions) {
    this.#options = options
  }

  start(): void {
    // A check that takes longer than the interval is shared by the next: they do not pile up.
    this.#timer ??= setInterval(() => void this.#look(), this.#options.intervalMs).unref()
  }

  /** May be called twice. */
  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  async #look(): Promise<void> {
    const { checks } = await this.#options.health.check()
    if (this.#timer === undefined) return
    for (const [part, result] of Object.entries(checks)) this.#note(part, result)
  }

  /** Each change is one line, however long it lasts. */
  #note(part: string, { status, error }: ProbeResult): void {
    const { log } = this.#options
    const failed = status === 'unhealthy'
    if (failed === this.#failing.has(part)) return
    if (failed) {
      this.#failing.add(part)
      log.warn({ part, error }, `health: ${part} does not work`)
    } else {
      this.#failing.delete(part)
      log.info({ part }, `health: ${part} works again`)
    }
  }
}
