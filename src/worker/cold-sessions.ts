/**
 * Brings sessions back for which commands wait while the bus does not hold them: asks Postgres what is known, and lets the
 * bus decide about the commands. Each session by itself, so that one that takes long holds up nobody else.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { AcceptedCommand, Claim, CommandStream, Hydrated, Refused } from '../bus/bus.js'
import type { Whereabouts } from '../bus/dormant.js'
import type { Logger } from './session-services.js'

export interface ColdSessionsOptions {
  readonly commands: Pick<CommandStream, 'hydrate'>
  /** What Postgres knows of a session that the bus does not hold. */
  readonly find: (sessionId: string) => Promise<Whereabouts>
  /** The claim under which a shard is written now. */
  readonly claimOf: (shard: number) => Claim | undefined
  readonly deliver: (claim: Claim, commands: readonly AcceptedCommand[]) => void
  readonly onRefused: (claim: Claim, refused: Refused) => void
  readonly logger: Logger
  /** How long a command waits for Postgres, from its being set aside; 60 s when left out. */
  readonly waitMs?: number
}

/** What a client can be asked to wait; edges wait a little longer for the answer. */
const WAIT_MS = 60_000
const RETRY_MS = 500
/** Questions under way at one time: what a small pool of connections takes without holding up the projection. */
const MAX_QUESTIONS = 16

interface Waking {
  readonly done: Promise<void>
  /** Commands came while the session was being brought back: they may have missed it. */
  again: boolean
}

export class ColdSessions {
  readonly #waking = new Map<string, Waking>()
  readonly #queue: (() => void)[] = []
  readonly #stopping = new AbortController()
  #questions = 0

  constructor(private readonly options: ColdSessionsOptions) {}

  /** Commands wait for this session, the first of them for `waitedMs`. Resolves when it is back, or cannot be had. */
  async wake(claim: Claim, sessionId: string, waitedMs = 0): Promise<void> {
    if (this.#stopping.signal.aborted) return
    const present = this.#waking.get(sessionId)
    if (present) {
      present.again = true
      return await present.done
    }
    const deadline = performance.now() + (this.options.waitMs ?? WAIT_MS) - waitedMs
    const waking: Waking = { again: false, done: this.#bringBack(claim, sessionId, deadline) }
    this.#waking.set(sessionId, waking)
    void waking.done.then(() => {
      this.#waking.delete(sessionId)
      const next = this.options.claimOf(claim.shard)
      if (waking.again && next) void this.wake(next, sessionId)
    })
    await waking.done
  }

  /** Resolves when nothing is being brought back any more. What waits the next owner finds. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    for (const next of this.#queue.splice(0)) next()
    await Promise.all([...this.#waking.values()].map(({ done }) => done))
  }

  /** Tries as long as the shard is ours. Never rejects. */
  async #bringBack(claim: Claim, sessionId: string, deadline: number): Promise<void> {
    while (this.#mayGoOn(claim)) {
      try {
        const found = await this.#find(sessionId, deadline)
        if (!this.#mayGoOn(claim)) return
        return this.#take(claim, await this.options.commands.hydrate(claim, sessionId, found))
      } catch (error) {
        if (!this.#mayGoOn(claim)) return
        this.options.logger.warn({ err: error, sessionId }, 'a session could not be brought back yet; trying again')
        await this.#pause(RETRY_MS).catch(() => undefined)
      }
    }
  }

  #take(claim: Claim, reply: Hydrated | Refused): void {
    if (reply.status !== 'ok') this.options.onRefused(claim, reply)
    else if (this.#mayGoOn(claim)) this.options.deliver(claim, reply.commands)
  }

  #mayGoOn(claim: Claim): boolean {
    return !this.#stopping.signal.aborted && this.options.claimOf(claim.shard) === claim
  }

  /** @throws what Postgres throws, and when the worker stops. */
  async #find(sessionId: string, deadline: number): Promise<Whereabouts> {
    const leftMs = Math.max(0, deadline - performance.now())
    if (leftMs === 0) return { kind: 'unavailable' }
    const answered = new AbortController()
    const late = this.#pause(leftMs, answered.signal).then(() => ({ kind: 'unavailable' }) as const)
    try {
      return await Promise.race([this.#ask(sessionId), late])
    } finally {
      answered.abort()
    }
  }

  /** @throws AbortError when the worker stops, or by the signal. */
  #pause(ms: number, signal?: AbortSignal): Promise<void> {
    const stopping = this.#stopping.signal
    return sleep(ms, undefined, { signal: signal ? AbortSignal.any([signal, stopping]) : stopping })
  }

  async #ask(sessionId: string): Promise<Whereabouts> {
    if (this.#questions >= MAX_QUESTIONS) await new Promise<void>((resolve) => this.#queue.push(resolve))
    this.#questions += 1
    try {
      return await this.options.find(sessionId)
    } finally {
      this.#questions -= 1
      this.#queue.shift()?.()
    }
  }
}
