/**
 * What the edges of this process must see. Entries wait for the next turn of the event loop, so that a worker's step
 * never runs an edge's code inside of it, and what belongs together is handed over together.
 */
import type { NodeId } from '../../protocol/ids.js'
import type { EdgeHandlers, EdgeOutbox, EdgeStream, OutEntry } from '../bus.js'
import type { Outbox } from '../command.js'

/** Entries handed over at once; other work of the process goes between. */
const BATCH_ENTRIES = 1_000

export class MemoryOutboxes implements EdgeStream {
  readonly #open = new Map<Outbox, MemoryOutbox>()

  /** `maxEntries`: when more wait for one edge, they are dropped and the edge must resume everything. */
  constructor(private readonly maxEntries: number) {}

  async open(edge: NodeId, handlers: EdgeHandlers): Promise<EdgeOutbox> {
    return new MemoryOutbox(edge, handlers, this.maxEntries, this.#open)
  }

  /** False when no edge reads this outbox any more. */
  send(name: Outbox, entry: OutEntry): boolean {
    const outbox = this.#open.get(name)
    outbox?.push(entry)
    return outbox !== undefined
  }

  isOpen(name: Outbox): boolean {
    return this.#open.has(name)
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#open.values()].map((it) => it.stop()))
  }
}

class MemoryOutbox implements EdgeOutbox {
  #generation = 1
  #waiting: OutEntry[] = []
  #lost = false
  #woken: NodeJS.Immediate | undefined

  constructor(
    private readonly edge: NodeId,
    private readonly handlers: EdgeHandlers,
    private readonly maxEntries: number,
    private readonly open: Map<Outbox, MemoryOutbox>,
  ) {
    open.set(this.name, this)
  }

  get name(): Outbox {
    return `${this.edge}-${this.#generation}`
  }

  get intactAt(): number {
    return performance.now()
  }

  async stop(): Promise<void> {
    clearImmediate(this.#woken)
    this.#waiting = []
    this.open.delete(this.name)
  }

  push(entry: OutEntry): void {
    if (this.#waiting.length < this.maxEntries) this.#waiting.push(entry)
    else this.#reopen()
    this.#wake()
  }

  /** From here on nobody finds the former name, so that sessions unsubscribe it with their next step. */
  #reopen(): void {
    this.open.delete(this.name)
    this.#waiting = []
    this.#generation += 1
    this.#lost = true
    this.open.set(this.name, this)
  }

  #wake(): void {
    this.#woken ??= setImmediate(() => {
      this.#woken = undefined
      this.#handOut()
    })
  }

  #handOut(): void {
    if (this.#lost) {
      this.#lost = false
      this.handlers.onReopened(this.name)
    }
    const batch = this.#waiting.splice(0, BATCH_ENTRIES)
    if (batch.length > 0) this.handlers.onEntries(batch)
    if (this.#waiting.length > 0) this.#wake()
  }
}
