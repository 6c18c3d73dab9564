/**
 * Completes sessions in which nothing has happened for SESSION_TIMEOUT, by a durable timer of each. The timer is not moved
 * with every command: it goes off early, and is then set to where it should be.
 *
 *   comes into the heap ─▶ set, "awake" ── goes off ──▶ idle for long enough? ─no─▶ set to the rest
 *   leaves the heap     ─▶ set to the rest, "idle" ─▶ goes off ─▶ completed, cleared
 *
 * Who has a timer that says "awake" of a session that is in nobody's heap cannot know since when it is idle, because its
 * owner was lost: it is given the whole time once more. Only the store's clock and monotonic ones are asked.
 */
import type { Claim, DueTimers, Refused, Timer, Timers } from '../bus/bus.js'
import { isTerminal } from '../protocol/session.js'
import type { Idle, SessionHost } from './session-host.js'
import type { Logger } from './session-services.js'

export interface SessionTimeoutOptions {
  readonly timers: Timers
  readonly host: Pick<SessionHost, 'idleFor' | 'complete'>
  readonly owned: () => ReadonlyMap<number, Claim>
  /** Whether somebody else writes a session of ours now. */
  readonly isPinned: (sessionId: string) => boolean
  /** Brings a session back into the store, if there is one of this id. Resolves when it is there, or cannot be had. */
  readonly wake: (claim: Claim, sessionId: string) => Promise<void>
  readonly timeoutMs: number
  readonly logger: Logger
}

const NAME = 'timeout'
/** `waking <n>`: it was not in the store and was asked for n times. */
type Note = 'awake' | 'idle' | `waking ${number}`

const POLL_MS = 1_000
/** Sessions completed at once: a thousand of them that fall due together must not hold up those at work. */
const AT_ONCE = 64
/** A session that rests in Postgres comes back with the first of these, unless Postgres is away: for a quarter of an hour. */
const MAX_WAKES = 90
/** Before a session is looked at again that could not be ended now. */
const AGAIN_MS = 10_000

export class SessionTimeout {
  readonly #options: SessionTimeoutOptions
  #timer: NodeJS.Timeout | undefined
  #polling: Promise<void> | undefined

  constructor(options: SessionTimeoutOptions) {
    this.#options = options
  }

  start(): void {
    this.#timer = setInterval(() => this.#poll(), POLL_MS)
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.#polling
  }

  awake(claim: Claim, sessionId: string): void {
    this.#later(claim, sessionId, 'awake', this.#options.timeoutMs)
  }

  idle(claim: Claim, sessionId: string, { forMs, status }: Idle): void {
    if (isTerminal(status)) this.#options.timers.clear(claim, { sessionId, name: NAME }).catch(() => undefined)
    else this.#later(claim, sessionId, 'idle', this.#options.timeoutMs - forMs)
  }

  /** A write that is lost leaves an earlier one standing: the session then ends later, never too early. */
  #later(claim: Claim, sessionId: string, note: Note, inMs: number): void {
    this.#set(claim, sessionId, note, inMs).catch(() => undefined)
  }

  async #set(claim: Claim, sessionId: string, note: Note, inMs: number): Promise<void> {
    await this.#options.timers.set(claim, { sessionId, name: NAME, note }, inMs)
  }

  #poll(): void {
    this.#polling ??= this.#fireAll()
      .catch((error: unknown) => {
        this.#options.logger.warn({ err: error }, 'timers of sessions could not be read; trying again')
      })
      .finally(() => {
        this.#polling = undefined
      })
  }

  async #fireAll(): Promise<void> {
    const { owned, timers } = this.#options
    const claims = [...owned().values()]
    const replies = await timers.due(claims)
    const due = replies.flatMap(({ claim, reply }) => ours(reply).map((timer) => ({ claim, timer })))
    // What is left over stands in the next answer.
    await Promise.all(due.slice(0, AT_ONCE).map(({ claim, timer }) => this.#tryFire(claim, timer)))
  }

  async #tryFire(claim: Claim, timer: Timer): Promise<void> {
    try {
      await this.#fire(claim, timer)
    } catch (error) {
      const { logger } = this.#options
      logger.debug({ err: error, sessionId: timer.sessionId }, 'a session could not be completed now; trying again')
      this.#later(claim, timer.sessionId, timer.note as Note, AGAIN_MS)
    }
  }

  async #fire(claim: Claim, { sessionId, note }: Timer): Promise<void> {
    const { host, isPinned, timeoutMs } = this.#options
    if (isPinned(sessionId)) return await this.#set(claim, sessionId, 'awake', AGAIN_MS)
    const idleMs = host.idleFor(sessionId)
    if (idleMs !== undefined && idleMs < timeoutMs) {
      return await this.#set(claim, sessionId, 'awake', timeoutMs - idleMs)
    }
    if (idleMs === undefined && note === 'awake') return await this.#set(claim, sessionId, 'idle', timeoutMs)
    await this.#complete(claim, sessionId, note as Note)
  }

  /** The timer is cleared only when the end is recorded: until then whoever owns the shard finds it. */
  async #complete(claim: Claim, sessionId: string, note: Note): Promise<void> {
    const { host, timers, timeoutMs, wake } = this.#options
    const completed = await host.complete(claim, sessionId)
    if (completed === false) return await this.#set(claim, sessionId, 'awake', timeoutMs)
    const wakes = note.startsWith('waking') ? Number(note.split(' ')[1]) : 0
    if (completed === undefined && wakes < MAX_WAKES) {
      await this.#set(claim, sessionId, `waking ${wakes + 1}`, AGAIN_MS)
      // Not awaited: Postgres may take a minute to answer, and other sessions have timers too.
      void wake(claim, sessionId).then(() => this.#completeAwoken(claim, sessionId))
      return
    }
    await timers.clear(claim, { sessionId, name: NAME })
  }

  /** At once, because a session that nobody uses goes back to rest soon. What fails is tried again when its timer goes off. */
  async #completeAwoken(claim: Claim, sessionId: string): Promise<void> {
    const { host, owned, timers } = this.#options
    if (owned().get(claim.shard) !== claim) return
    const completed = await host.complete(claim, sessionId).catch(() => false)
    if (completed) await timers.clear(claim, { sessionId, name: NAME }).catch(() => undefined)
  }
}

/** A shard that is refused is somebody else's, who asks for himself. */
const ours = (due: DueTimers | Refused): readonly Timer[] =>
  due.status === 'ok' ? due.timers.filter(({ name }) => name === NAME) : []
