/**
 * Tells a worker of the same process which of its shards have got commands.
 */
import type { CommandBell } from '../bus.js'

export class MemoryBell implements CommandBell {
  readonly #shards = new Set<number>()
  readonly #rung = new Set<number>()
  #woken: NodeJS.Immediate | undefined
  #stopped = false

  constructor(
    private readonly onWaiting: (shard: number) => void,
    private readonly onStopped: () => void,
  ) {}

  add(shard: number): void {
    if (this.#stopped) return
    this.#shards.add(shard)
    this.ring(shard)
  }

  remove(shard: number): void {
    this.#shards.delete(shard)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#shards.clear()
    clearImmediate(this.#woken)
    this.onStopped()
  }

  /** What comes in the same turn of the event loop is told together. */
  ring(shard: number): void {
    this.#rung.add(shard)
    this.#woken ??= setImmediate(() => this.#tell())
  }

  #tell(): void {
    this.#woken = undefined
    const rung = [...this.#rung]
    this.#rung.clear()
    for (const shard of rung) if (this.#shards.has(shard)) this.onWaiting(shard)
  }
}
