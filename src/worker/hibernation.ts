/**
 * Moves sessions at rest out of the bus: keeps each in Postgres, then drops it where it is still as it was read.
 *
 *   Postgres names what was idle ─▶ leaves the heap ─▶ read ─▶ kept in Postgres ─▶ dropped ─▶ marked asleep
 *
 * A crash between two steps loses nothing: the bus holds the session until it is dropped, and before that it is kept. No
 * idle session costs this worker a byte of memory.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Claim, Refused, Rest, SessionLog } from '../bus/bus.js'
import type { DormantSession } from '../bus/dormant.js'
import type { Logger } from './session-services.js'

export interface RestTimes {
  readonly idleMs: number
  /** For a session that is over. */
  readonly endedMs: number
}

export interface RestingSession {
  readonly sessionId: string
  readonly shard: number
}

/** What Postgres does for it. */
export interface DormantStorage {
  /** Awake sessions of these shards that nothing was heard of for so long, behind `after`, in a fixed order. */
  findResting(
    shards: readonly number[],
    times: RestTimes,
    after: RestingSession | undefined,
    limit: number,
  ): Promise<readonly RestingSession[]>
  /** Keeps sessions as read under the epoch of a claim. */
  keep(sessions: readonly { readonly epoch: number; readonly session: DormantSession }[]): Promise<void>
  /** Notes that the bus does not hold these sessions, unless something was heard of them meanwhile. */
  markAsleep(ids: readonly string[], times: RestTimes): Promise<void>
}

export interface HibernationOptions {
  readonly log: Pick<SessionLog, 'rest' | 'hibernate'>
  readonly storage: DormantStorage
  /** SESSION_HIBERNATE_AFTER. */
  readonly idleMs: number
  readonly owned: () => ReadonlyMap<number, Claim>
  /** Lets an idle session leave the heap; false when it has work. */
  readonly letGo: (sessionId: string) => boolean
  /** A session whose events Postgres may not have. */
  readonly onUnprojected: (claim: Claim, sessionId: string) => void
  readonly onRefused: (claim: Claim, refused: Refused) => void
  readonly logger: Logger
}

/** Nobody comes back to a session that is over, except to read what Postgres has. */
const ENDED_IDLE_MS = 60_000
/** A session leaves at most a quarter later than it may; the question costs Postgres one look at an index. */
const SWEEPS_PER_IDLE_TIME = 4
const MIN_SWEEP_MS = 50
const MAX_SWEEP_MS = 60_000
const PAGE = 100
/** Of one sweep; the next goes on behind it. */
const MAX_PAGES = 50
/** A stop waits no longer for a Postgres that is silent: a sweep may end anywhere. */
const STOP_MS = 1_000

interface Candidate {
  readonly claim: Claim
  readonly sessionId: string
}

export class Hibernation {
  readonly #options: HibernationOptions
  readonly #times: RestTimes
  #after: RestingSession | undefined
  #timer: NodeJS.Timeout | undefined
  #sweeping: Promise<void> | undefined
  #stopped = false

  constructor(options: HibernationOptions) {
    this.#options = options
    this.#times = { idleMs: options.idleMs, endedMs: Math.min(options.idleMs, ENDED_IDLE_MS) }
  }

  start(): void {
    const everyMs = Math.min(Math.max(this.#times.endedMs / SWEEPS_PER_IDLE_TIME, MIN_SWEEP_MS), MAX_SWEEP_MS)
    this.#timer = setInterval(() => void this.sweep(), everyMs)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    clearInterval(this.#timer)
    await Promise.race([this.#sweeping, sleep(STOP_MS, undefined, { ref: false })])
  }

  /** Looks once at what may hibernate. Never rejects; a sweep under way is shared. */
  sweep(): Promise<void> {
    this.#sweeping ??= this.#sweep()
      .catch((error: unknown) => {
        this.#options.logger.warn({ err: error }, 'sessions could not hibernate; trying again')
      })
      .finally(() => {
        this.#sweeping = undefined
      })
    return this.#sweeping
  }

  async #sweep(): Promise<void> {
    for (let page = 0; page < MAX_PAGES && !this.#stopped; page++) {
      const owned = this.#options.owned()
      if (owned.size === 0) return
      const found = await this.#options.storage.findResting([...owned.keys()], this.#times, this.#after, PAGE)
      this.#after = found.length < PAGE ? undefined : found.at(-1)
      await this.#hibernate(found.flatMap((it) => this.#candidate(owned, it)))
      if (this.#after === undefined) return
    }
  }

  #candidate(owned: ReadonlyMap<number, Claim>, { shard, sessionId }: RestingSession): Candidate[] {
    const claim = owned.get(shard)
    return claim && this.#options.letGo(sessionId) ? [{ claim, sessionId }] : []
  }

  async #hibernate(candidates: readonly Candidate[]): Promise<void> {
    const { log, storage, onUnprojected } = this.#options
    const absent: string[] = []
    const resting: { readonly claim: Claim; readonly session: DormantSession }[] = []
    await Promise.all(
      candidates.map(async ({ claim, sessionId }) => {
        const rest = await log.rest(claim, sessionId)
        if (rest.status === 'idle') resting.push({ claim, session: rest.session })
        else if (rest.status === 'absent') absent.push(sessionId)
        else if (rest.status === 'unprojected') onUnprojected(claim, sessionId)
        else this.#refused(claim, rest)
      }),
    )
    await storage.keep(resting.map(({ claim, session }) => ({ epoch: claim.epoch, session })))
    const dropped = await Promise.all(resting.map(({ claim, session }) => this.#drop(claim, session)))
    await storage.markAsleep([...absent, ...dropped.flat()], this.#times)
    if (resting.length > 0) this.#options.logger.debug({ sessions: dropped.flat().length }, 'sessions hibernate')
  }

  async #drop(claim: Claim, session: DormantSession): Promise<string[]> {
    const hibernated = await this.#options.log.hibernate(claim, session)
    if (hibernated.status === 'ok') return [session.sessionId]
    this.#refused(claim, hibernated)
    return []
  }

  #refused(claim: Claim, reply: Refused | { readonly status: Exclude<Rest['status'], 'idle'> | 'changed' }): void {
    if (reply.status === 'fenced' || reply.status === 'rollback') this.#options.onRefused(claim, reply)
  }
}
