/**
 * All shards of the in-process bus by number, empty or as a journal held them.
 */
import { type SessionId, shardOfSession } from '../../protocol/ids.js'
import type { BusContents } from '../../storage/standalone-bus.js'
import { MemorySession } from './memory-session.js'
import { MemoryShard } from './memory-shard.js'

export class MemoryShards {
  readonly #shards = new Map<number, MemoryShard>()

  /** A shard exists from its first use on. */
  get(shard: number): MemoryShard {
    const existing = this.#shards.get(shard)
    if (existing) return existing
    const created = new MemoryShard(shard)
    this.#shards.set(shard, created)
    return created
  }

  /** @throws RangeError for a text that is no session id; callers have checked it before. */
  of(sessionId: SessionId): MemoryShard {
    const shard = shardOfSession(sessionId)
    if (shard === undefined) throw new RangeError('not a session id')
    return this.get(shard)
  }

  session(sessionId: SessionId): MemorySession | undefined {
    return this.of(sessionId).session(sessionId)
  }

  /** Fills this empty bus with what a journal holds. */
  restore(contents: BusContents): void {
    for (const row of contents.shards) this.#shards.set(row.shard, new MemoryShard(row.shard, row))
    const sessions = new Map(contents.sessions.map((row) => [row.session_id, new MemorySession(row)]))
    for (const it of contents.commands) sessions.get(it.session_id)?.restoreCommand(it.control, it.body)
    for (const it of contents.seen) sessions.get(it.session_id)?.restoreSeen(it.command_id, it.result, it.generation)
    for (const it of contents.pieces) sessions.get(it.session_id)?.restoreText(parsePiece(it.piece))
    for (const it of contents.events) sessions.get(it.session_id)?.restoreEvent(it.epoch, it.seq, it.body)
    for (const it of contents.timers) {
      this.of(it.session_id).timers.restore({ sessionId: it.session_id, name: it.name, note: it.note }, it.due_at)
    }
    for (const session of sessions.values()) this.of(session.id).restore(session)
  }
}

const parsePiece = (json: string): string => String(JSON.parse(json))
