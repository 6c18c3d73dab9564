/**
 * What was started is stopped in reverse, once, each part within its time.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '../telemetry/log.js'

interface Part {
  readonly name: string
  readonly stop: () => Promise<void>
  readonly timeoutMs: number
}

export class Lifecycle {
  readonly #parts: Part[] = []
  #stopping: Promise<void> | undefined

  constructor(
    private readonly log: Log,
    private readonly timeoutMs: number,
    private readonly onStarted?: (part: string) => void,
  ) {}

  /** Notes how a part that has just started is stopped. */
  started(name: string, stop: () => Promise<void>, timeoutMs = this.timeoutMs): void {
    this.#parts.push({ name, stop, timeoutMs })
    this.onStarted?.(name)
  }

  /** Stops everything; a part that fails or takes too long is logged and passed over. May be called twice. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll()
    return this.#stopping
  }

  async #stopAll(): Promise<void> {
    for (let part = this.#parts.pop(); part; part = this.#parts.pop()) await this.#stopOne(part)
  }

  async #stopOne({ name, stop, timeoutMs }: Part): Promise<void> {
    const late = new AbortController()
    try {
      const timeout = sleep(timeoutMs, 'late', { signal: late.signal })
      if ((await Promise.race([stop(), timeout])) === 'late') this.log.warn({ part: name, timeoutMs }, 'a stop is late')
    } catch (err) {
      this.log.warn({ err, part: name }, 'a part did not stop cleanly')
    } finally {
      late.abort()
    }
  }
}
