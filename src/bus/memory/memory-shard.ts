/**
 * One shard of the in-process bus: its epoch, its stream of submitted commands and its sessions.
 */
import type { NodeId, SessionId } from '../../protocol/ids.js'
import type { BusShardRow } from '../../storage/standalone-bus.js'
import {
  type Acceptance,
  type AcceptedCommand,
  type Claim,
  type Claimed,
  type Fenced,
  type Hibernated,
  LIMITS,
  type Projected,
  type Refused,
  type Submitted,
} from '../bus.js'
import { HYDRATE, type Outbox, type Submission } from '../command.js'
import type { DormantSession, SeenCommand, Whereabouts } from '../dormant.js'
import { ColdCommands } from './cold-commands.js'
import { dormantRow, MemorySession, newSessionRow } from './memory-session.js'
import { MemoryTimers } from './memory-timers.js'
import type { WriteGroup } from './write-group.js'

interface Waiting {
  /** Number of the command in the shard's stream. */
  readonly number: number
  readonly submission: Submission
  readonly bytes: number
}

export class MemoryShard {
  readonly timers = new MemoryTimers()
  readonly #sessions = new Map<SessionId, MemorySession>()
  readonly #active = new Set<SessionId>()
  readonly #unprojected = new Set<SessionId>()
  readonly #cold = new ColdCommands()
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
      cold: this.#cold.sessions(),
      cursor: this.cursor,
      storeChanged: false,
    }
  }

  release(claim: Claim, group: WriteGroup): void {
    if (this.#epoch > claim.epoch || this.#owner !== claim.owner) return
    this.#owner = null
    this.#save(group)
  }

  /** Number of the last submission that was decided about, in the form of a Redis stream's id. */
  get cursor(): string {
    return `0-${this.#cursor}`
  }

  /** Why this claim may not write, or undefined when it may. `cursor` is what its owner knows of it. */
  refusal(claim: Claim, cursor = this.cursor): Refused | undefined {
    if (this.#epoch > claim.epoch) return { status: 'fenced', epoch: this.#epoch }
    const isBehind = this.#cursor < Number(cursor.slice(cursor.indexOf('-') + 1))
    return this.#epoch < claim.epoch || isBehind ? { status: 'rollback', epoch: this.#epoch } : undefined
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
    const { sessionId, type, fresh } = submission
    if (this.#sessions.has(sessionId)) return this.#decide(submission, NOWHERE, group, admitsWork)
    if (type === 'spawn' && fresh) return this.#decide(submission, { kind: 'unborn' }, group, admitsWork)
    return acceptance(submission, this.#cold.add(submission) ? 'cold' : 'busy')
  }

  /** Decides about the commands that waited for a session, which Postgres has been asked about. */
  hydrate(sessionId: SessionId, found: Whereabouts, group: WriteGroup): readonly AcceptedCommand[] {
    if (found.kind === 'hibernated' && !this.#sessions.has(sessionId)) {
      const session = new MemorySession(dormantRow(this.number, found.session))
      this.#sessions.set(sessionId, session)
      session.wake(found.session, group)
    }
    const commands = this.#cold.take(sessionId)
    return commands.map((submission) => ({ submission, acceptance: this.#decide(submission, found, group, true) }))
  }

  #decide(submission: Submission, found: Whereabouts, group: WriteGroup, admitsWork: boolean): Acceptance {
    if (submission.type === HYDRATE) return acceptance(submission, 'dup')
    const session = this.#sessions.get(submission.sessionId)
    if (!session) return this.#decideWithout(submission, found, group)
    const { status, detail } = session.accept(submission, group, admitsWork)
    if (status === 'new') this.#active.add(session.id)
    return acceptance(submission, status, detail)
  }

  #decideWithout(submission: Submission, found: Whereabouts, group: WriteGroup): Acceptance {
    const isSpawn = submission.type === 'spawn'
    if (isSpawn && found.kind === 'unborn') return this.#begin(submission, group)
    if (found.kind === 'ended') {
      const result = resultOf(found.seen, submission.commandId)
      if (result !== undefined || isSpawn) return acceptance(submission, 'dup', result)
      return acceptance(submission, 'final', found.status)
    }
    if (isSpawn && found.kind === 'lost') return acceptance(submission, 'dup')
    return acceptance(submission, found.kind === 'unavailable' ? 'unavailable' : 'unknown')
  }

  #begin(submission: Submission, group: WriteGroup): Acceptance {
    const session = new MemorySession(newSessionRow(this.number, submission))
    this.#sessions.set(session.id, session)
    session.begin(submission, group)
    this.#active.add(session.id)
    return acceptance(submission, 'new')
  }

  /** Forgets a session that is still as it was read. */
  hibernate(dormant: DormantSession, isOpen: (outbox: Outbox) => boolean, group: WriteGroup): Hibernated {
    const session = this.#sessions.get(dormant.sessionId)
    if (!session) return { status: 'absent' }
    const rest = session.rest(isOpen)
    if (rest.status !== 'idle') return rest
    const { head, accepted, commit } = rest.session
    if (head !== dormant.head || accepted !== dormant.accepted || commit !== dormant.commit)
      return { status: 'changed' }
    this.#sessions.delete(session.id)
    this.#active.delete(session.id)
    group.forget(session.id)
    return { status: 'ok' }
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

/** What is known of a session that is here: nobody was asked. */
const NOWHERE: Whereabouts = { kind: 'unknown' }

const acceptance = ({ sessionId, commandId }: Submission, status: Acceptance['status'], detail = ''): Acceptance => ({
  sessionId,
  commandId,
  status,
  detail,
})

const resultOf = (seen: readonly SeenCommand[], commandId: string): string | undefined =>
  seen.find(([id]) => id === commandId)?.[1]
