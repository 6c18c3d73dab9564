/**
 * What goes to Postgres in one transaction: rows of events and sessions, by shard.
 */
import type { Claim } from '../bus/bus.js'
import type { LoggedEvent, NewEvent } from '../protocol/events.js'
import type { EventId } from '../protocol/ids.js'
import type { Session } from '../protocol/session.js'
import type { ProjectedEvent, ProjectedSession, ProjectionBatch } from '../storage/projection.js'

/** Whoever has run the event has it parsed. */
export type ProjectedRow = Required<ProjectedEvent>

/** One transaction; shards whose stored epoch is higher are left out and named. Repeating a batch is allowed. */
export type Project = (batches: readonly ProjectionBatch[]) => Promise<{ readonly fenced: readonly number[] }>

export function projectedRow(id: EventId | undefined, event: NewEvent | LoggedEvent, body: string): ProjectedRow {
  const { epoch, seq } = id ?? { epoch: 0, seq: 0 }
  return { sessionId: event.sessionId, epoch, seq, type: event.type, at: event.timestamp, body, event }
}

/** What was taken of a session's log. */
export interface SessionPart {
  readonly id: string
  readonly backlog: { readonly claim: Claim; readonly snapshot: Session | undefined }
  readonly rows: readonly ProjectedRow[]
}

/** One batch for each shard. */
export function batchesOf(taken: readonly SessionPart[]): ProjectionBatch[] {
  const batches = new Map<
    number,
    { shard: number; epoch: number; events: ProjectedRow[]; sessions: ProjectedSession[] }
  >()
  for (const { id, backlog, rows } of taken) {
    const { shard, epoch } = backlog.claim
    const batch = batches.get(shard) ?? { shard, epoch, events: [], sessions: [] }
    batch.events.push(...rows)
    if (backlog.snapshot) batch.sessions.push({ id, status: backlog.snapshot.status, snapshot: backlog.snapshot })
    batches.set(shard, batch)
  }
  return [...batches.values()]
}
