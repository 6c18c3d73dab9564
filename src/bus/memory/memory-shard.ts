/**
 * One shard of the in-process bus: its epoch, its stream of submitted commands and its sessions.
 */
import type { NodeId, SessionId } from '../../protocol/ids.js'
import type { BusShardRow } from '../../storage/standalone-bus.js'
import {
  type Acceptance,
  type Claim,
  type Claimed,
  type Fenced,
  LIMITS,
  type Projected,
  type Refused,
  type Submitted,
} from '../bus.js'
import type { Submission } from '../command.js'
import { MemorySession, newSessionRow } from './memory-session.js'
import type { WriteGroup } from './write-group.js'

interface Waiting {
  /** Number of the command in the shard's stream. */
  readonly number: number
  readonly submission: Submission
  readonly bytes: number
}

export class MemoryShard {
  readonly #sessions = new Map<SessionId, MemorySession>()
  readonly #active = new Set<SessionId>()
  readonly #unprojected = new Set<SessionId>()
  /** Submitted and not yet accepted, oldest first. They end with the process, as does the edge that sent them. */
  #waiting: Waiting[] = []
  #waitingBytes = 0
  #lastNumber: number
  #owner: NodeId | null
  #epoch: number
  #cursor: number

  constructor(
    readonly number: number,
    row?: BusShardRow,
  ) {
    this.#owner = row?.owner ?? null
    this.#epoch = row?.epoch ?? 0
    this.#cursor = row?.cursor ?? 0
    this.#lastNumber = this.#cursor
  }

  session(id: SessionId): MemorySession | undefined {
    return this.#sessions.get(id)
  }

  /** Takes in a session that was read from disk, complete. */
  restore(session: MemorySession): void {
    this.#sessions.set(session.id, session)
    this.#track(session)
  }

  /** Installs the epoch that Postgres granted; it only ratchets up. */
  claim(claim: Claim, group: WriteGroup): Claimed | Fenced {
    if (this.#epoch > claim.epoch) return { status: 'fenced', epoch: this.#epoch }
    this.#epoch = claim.epoch
    this.#owner = claim.owner
    this.#save(group)
    return {
      status: 'ok',
      active: [...this.#active],
      unprojected: [...this.#unprojected],
      pins: [],
    }
  }

  release(claim: Claim, group: WriteGroup): void {
    if (this.#epoch > claim.epoch || this.#owner !== claim.owner) return
    this.#owner = null
    this.#save(group)
  }

  /** Why this claim may not write, or undefined when it may. */
  refusal(claim: Claim): Refused | undefined {
    if (this.#epoch === claim.epoch) return undefined
    return { status: this.#epoch > claim.epoch ? 'fenced' : 'rollback', epoch: this.#epoch }
  }

  submit(submission: Submission): Submitted {
    const bytes = Buffer.byteLength(submission.body)
    if (this.#waiting.length >= LIMITS.shardCommands || this.#waitingBytes + bytes > LIMITS.shardBytes) {
      return { status: 'busy', retryAfterMs: LIMITS.busyRetryMs }
    }
    this.#lastNumber += 1
    this.#waitingBytes += bytes
    this.#waiting.push({ number: this.#lastNumber, submission, bytes })
    return { status: 'ok' }
  }

  /** The oldest submissions that wait, at most `limit`. */
  read(limit: number): readonly Submission[] {
    return this.#waiting.slice(0, limit).map((it) => it.submission)
  }

  /** Decides about one command of a batch, and takes it in when it is new. */
  accept(submission: Submission, group: WriteGroup, admitsWork: boolean): Acceptance {
    const { sessionId, commandId } = submission
    const session = this.#sessions.get(sessionId)
    const decision = session ? session.accept(submission, group, admitsWork) : this.#begin(submission, group)
    if (decision.status === 'new') this.#active.add(sessionId)
    return { sessionId, commandId, ...decision }
  }

  #begin(submission: Submission, group: WriteGroup): Pick<Acceptance, 'status' | 'detail'> {
    if (submission.type !== 'spawn') return { status: 'unknown', detail: '' }
    if (!submission.fresh) return { status: 'check', detail: '' }
    const session = new MemorySession(newSessionRow(this.number, submission))
    this.#sessions.set(session.id, session)
    session.begin(submission, group)
    return { status: 'new', detail: '' }
  }

  /** Forgets the oldest `count` submissions: what became of them is decided. */
  moveCursor(count: number, group: WriteGroup): void {
    const gone = this.#waiting.splice(0, count)
    this.#cursor = gone.at(-1)?.number ?? this.#cursor
    this.#waitingBytes -= gone.reduce((bytes, it) => bytes + it.bytes, 0)
    this.#save(group)
  }

  /** Notes after a commit whether the session still has work, and that it has events to project. */
  committed(session: MemorySession): void {
    this.#active.delete(session.id)
    this.#track(session)
  }

  trim(projected: Projected, group: WriteGroup): void {
    const session = this.#sessions.get(projected.sessionId)
    if (!session) return
    session.trim(projected, group)
    this.#unprojected.delete(session.id)
    this.#track(session)
  }

  #track(session: MemorySession): void {
    if (session.hasWork) this.#active.add(session.id)
    if (!session.isProjected) this.#unprojected.add(session.id)
  }

  #save(group: WriteGroup): void {
    group.shard({ shard: this.number, owner: this.#owner, epoch: this.#epoch, cursor: this.#cursor })
  }
}
