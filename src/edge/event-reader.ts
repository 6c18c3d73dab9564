/**
 * Reads what this edge's clients must see, and hands each entry to those it concerns.
 */
import type { EdgeOutbox, EdgeStream, OutEntry } from '../bus/bus.js'
import type { Outbox } from '../bus/command.js'
import type { NodeId } from '../protocol/ids.js'
import type { Span, Tracing } from '../telemetry/tracing.js'
import { fanOutSpan } from './command-trace.js'
import type { Submissions } from './submissions.js'
import { numberedRun } from './subscription.js'
import type { Subscriptions } from './subscriptions.js'

export class EventReader {
  readonly #outboxes: EdgeStream
  readonly #submissions: Submissions
  readonly #subscriptions: Subscriptions
  readonly #tracing: Tracing | undefined
  #outbox: EdgeOutbox | undefined

  constructor(
    outboxes: EdgeStream,
    submissions: Submissions,
    subscriptions: Subscriptions,
    tracing: Tracing | undefined,
  ) {
    this.#tracing = tracing
    this.#outboxes = outboxes
    this.#submissions = submissions
    this.#subscriptions = subscriptions
  }

  /** Opens the outbox and returns its name. */
  async start(edge: NodeId): Promise<Outbox> {
    this.#outbox = await this.#outboxes.open(edge, {
      onEntries: (entries) => {
        for (const entry of entries) this.#route(entry)
      },
      onReopened: (name) => this.#reopened(name),
    })
    return this.#outbox.name
  }

  /** Monotonic time up to which the store is known to have kept what it has told this edge. */
  get intactAt(): number {
    return this.#outbox?.intactAt ?? Number.NEGATIVE_INFINITY
  }

  async stop(): Promise<void> {
    await this.#outbox?.stop()
    this.#outbox = undefined
  }

  #route(entry: OutEntry): void {
    if (entry.kind === 'acceptances') {
      for (const acceptance of entry.acceptances) this.#submissions.settle(acceptance)
    } else if (entry.kind === 'awake') {
      this.#subscriptions.awoke(entry.sessionId)
    } else if (entry.kind === 'text') {
      this.#subscriptions.deliver(entry.sessionId, [entry])
    } else {
      const span = this.#tracing && this.#fanOut(this.#tracing, entry)
      this.#subscriptions.deliver(entry.sessionId, numberedRun(entry.events))
      span?.end()
    }
  }

  #fanOut(tracing: Tracing, entry: Extract<OutEntry, { kind: 'events' }>): Span | undefined {
    return fanOutSpan(tracing, entry, this.#subscriptions.watchersOf(entry.sessionId).length)
  }

  /** Subscriptions first: what the repeated commands cause must find somebody. */
  #reopened(name: Outbox): void {
    this.#subscriptions.reopened(name)
    this.#submissions.reopened(name)
  }
}
