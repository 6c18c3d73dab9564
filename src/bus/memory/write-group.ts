/**
 * What a group of bus operations changed, as rows. Each operation puts its rows here in the same turn of the event loop
 * in which it changes memory, so that a group never holds half an operation nor any trace of a later one.
 */
import type {
  BusCommandRow,
  BusEventRow,
  BusPieceRow,
  BusSeenRow,
  BusSessionRow,
  BusShardRow,
  BusTimerChange,
  BusWrite,
} from '../../storage/standalone-bus.js'

export class WriteGroup {
  commands: BusCommandRow[] = []
  readonly events: BusEventRow[] = []
  pieces: BusPieceRow[] = []
  readonly #shards = new Map<number, BusShardRow>()
  readonly #sessions = new Map<string, BusSessionRow>()
  readonly #seen = new Map<string, BusSeenRow>()
  readonly #timers = new Map<string, BusTimerChange>()
  readonly #outdated = new Set<string>()
  readonly #gone = new Set<string>()

  /** Replaces what this group knew of the shard. */
  shard(row: BusShardRow): void {
    this.#shards.set(row.shard, row)
  }

  session(row: BusSessionRow): void {
    this.#sessions.set(row.session_id, row)
  }

  seen(row: BusSeenRow): void {
    this.#seen.set(`${row.session_id} ${row.command_id}`, row)
  }

  timer(row: BusTimerChange): void {
    this.#timers.set(`${row.session_id} ${row.name}`, row)
  }

  /** Notes that rows of the session have become invalid by its new row. */
  outdate(sessionId: string): void {
    this.#outdated.add(sessionId)
  }

  /** Drops everything of a session but its events. What comes later in this group is of its next life. */
  forget(sessionId: string): void {
    this.#gone.add(sessionId)
    this.#sessions.delete(sessionId)
    for (const [key, row] of this.#seen) if (row.session_id === sessionId) this.#seen.delete(key)
    this.commands = this.commands.filter((row) => row.session_id !== sessionId)
    this.pieces = this.pieces.filter((row) => row.session_id !== sessionId)
  }

  rows(): BusWrite {
    return {
      shards: [...this.#shards.values()],
      sessions: [...this.#sessions.values()],
      commands: this.commands,
      seen: [...this.#seen.values()],
      pieces: this.pieces,
      events: this.events,
      timers: [...this.#timers.values()],
      outdated: [...this.#outdated],
      gone: [...this.#gone],
    }
  }
}
