/**
 * Hands submitted commands of added shards to a worker of the same process.
 */
import type { CommandBatch, CommandReader, Cursor } from '../bus.js'
import type { MemoryShards } from './memory-shards.js'

/** Commands in one batch: bounds the work of one `accept`. */
const BATCH_COMMANDS = 100

export class MemoryReader implements CommandReader {
  readonly #cursors = new Map<number, Cursor>()
  /** The handler that works on a batch of the shard. It outlives a removal, and the next batch waits for it. */
  readonly #handling = new Map<number, Promise<void>>()
  #woken: NodeJS.Immediate | undefined
  #stopped = false

  constructor(
    private readonly shards: MemoryShards,
    private readonly onBatch: (batch: CommandBatch) => Promise<void>,
    private readonly onLost: () => void,
    private readonly onStopped: (reader: MemoryReader) => void,
  ) {}

  add(shard: number, cursor: Cursor): void {
    if (this.#stopped) return
    this.#cursors.set(shard, cursor)
    this.wake()
  }

  remove(shard: number): void {
    this.#cursors.delete(shard)
  }

  /** Resolves when the handlers that run have returned; no other is called after this. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#cursors.clear()
    clearImmediate(this.#woken)
    this.onStopped(this)
    await Promise.all(this.#handling.values())
  }

  /** Tells that something was submitted. What comes in the same turn of the event loop is handed out together. */
  wake(): void {
    this.#woken ??= setImmediate(() => {
      this.#woken = undefined
      for (const shard of [...this.#cursors.keys()]) this.#handOut(shard)
    })
  }

  #handOut(shard: number): void {
    const cursor = this.#cursors.get(shard)
    if (cursor === undefined || this.#handling.has(shard)) return
    const batch = this.shards.get(shard).read(cursor, BATCH_COMMANDS)
    if (!batch) return
    this.#cursors.set(shard, batch.cursor)
    const handled = this.#handle({ shard, ...batch }).finally(() => {
      this.#handling.delete(shard)
      this.#handOut(shard)
    })
    this.#handling.set(shard, handled)
  }

  async #handle(batch: CommandBatch): Promise<void> {
    try {
      await this.onBatch(batch)
    } catch {
      // The owner could not accept it: as after a lost connection, it claims and adds its shards anew.
      this.onLost()
    }
  }
}
