/**
 * Speaks to Neolith for the whole cluster: one node at a time signs in, shows that the service is there, says how it is, and
 * takes in what is asked for. When that node dies another one does so within a lease.
 *
 *   lease ─ held ─▶ join ▶ config ▶ status ▶ heartbeats │ events │ tasks ─ lost ─▶ lease …
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { NeolithTasks } from '../storage/neolith-tasks.js'
import type { NeolithApiClient } from './api-client.js'
import { Intake } from './intake.js'
import type { Lease } from './lease.js'
import { NeolithError } from './neolith-error.js'
import type { Pace } from './pace.js'
import type { Relay } from './relay.js'
import type { Tokens } from './tokens.js'
import type { HeartbeatMetrics, OperationalConfig } from './types.js'

/** The longest that a dead node is missed; Neolith takes us for gone after 90 s. */
export const LEASE_MS = 15_000
const RENEW_MS = 5_000
/** Between the last moment we believe in the lease and the first in which another may get it. */
const MARGIN_MS = 2_000
/** Between looks for events. */
const EVENTS_MS = 3_000
/** The same where an answer was full: a Neolith that always has more must not keep us busy with nothing else. */
const MORE_EVENTS_MS = 200
/** After a failure, doubled with each. */
const FIRST_PAUSE_MS = 2_000
const MAX_PAUSE_MS = 60_000
/** Three of them are missing before Neolith takes us for gone. */
const MAX_HEARTBEAT_MS = 30_000
const MIN_HEARTBEAT_MS = 1_000
/** Configuration is read again after this time. */
const CONFIG_MS = 10 * 60 * 1_000
/** Twice, with the end of all calls between. */
const STOP_TIMEOUT_MS = 2_500

/** What this service may do at Neolith. */
export const SCOPES = ['messages:read', 'messages:write'] as const

export interface ServiceState {
  /** False: nobody takes on sessions, because all workers stop or none is there. */
  readonly works: boolean
  readonly status: 'active' | 'idle' | 'busy'
  readonly metrics: HeartbeatMetrics
}

export interface ReporterOptions {
  readonly client: NeolithApiClient
  readonly lease: Lease
  readonly tasks: Pick<NeolithTasks, 'since' | 'take' | 'openIn'>
  readonly relay: Relay
  readonly pace: Pace
  /** How often a heartbeat is sent at least, whatever Neolith wants. */
  readonly heartbeatMs: number
  readonly state: () => Promise<ServiceState>
  /** Whether tasks of this orchestrator can run here. */
  readonly accepts: (orchestrator: string) => boolean
  /** Ends the calls that are under way. */
  readonly endCalls: () => void
  readonly onReporting: (reporting: boolean) => void
  readonly onTaken: (count: number) => void
  readonly log: {
    info(fields: object, text: string): void
    warn(fields: object, text: string): void
  }
}

export class Reporter {
  readonly #options: ReporterOptions
  readonly #stopping = new AbortController()
  #loop: Promise<void> | undefined
  #heartbeatMs: number
  #status: string | undefined
  /** Codes of what goes wrong, by the work that fails: said once until it works again. */
  readonly #failing = new Map<string, string>()

  constructor(options: ReporterOptions) {
    this.#options = options
    this.#heartbeatMs = within(options.heartbeatMs)
  }

  start(): void {
    this.#loop ??= this.#run()
  }

  /** In bounded time; another node goes on at once. May be called twice. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    const ended = Promise.resolve(this.#loop)
    // First what is under way, because a message that is cut off must be looked for; then not even that.
    await Promise.race([ended, sleep(STOP_TIMEOUT_MS, undefined, { ref: false })])
    this.#options.endCalls()
    await Promise.race([ended, sleep(STOP_TIMEOUT_MS, undefined, { ref: false })])
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    const { lease, onReporting } = this.#options
    while (!signal.aborted) {
      if (await this.#hold()) {
        onReporting(true)
        await this.#reportWhileHeld()
        onReporting(false)
      } else await pause(RENEW_MS, signal)
    }
    // Redis may be away; the lease ends by itself then.
    await lease.leave().catch(() => undefined)
  }

  #hold(): Promise<boolean> {
    return this.#options.lease.hold(LEASE_MS).catch((error: unknown) => {
      this.#failed('lease', error)
      return false
    })
  }

  async #reportWhileHeld(): Promise<void> {
    const over = new AbortController()
    const signal = AbortSignal.any([this.#stopping.signal, over.signal])
    const reporting = this.#report(signal)
    let heldAt = performance.now()
    while (!signal.aborted && performance.now() - heldAt < LEASE_MS - MARGIN_MS) {
      await pause(RENEW_MS, signal)
      const askedAt = performance.now()
      if (signal.aborted) break
      if (await this.#hold()) heldAt = askedAt
    }
    over.abort()
    await reporting
  }

  /** Resolves when `signal` ends it. */
  async #report(signal: AbortSignal): Promise<void> {
    const { relay, accepts, log } = this.#options
    const tokens = await this.#signIn(signal)
    if (!tokens) return
    const { orchestratorId } = tokens
    const work = [this.#again('heartbeat', signal, () => this.#heartbeat())]
    if (accepts(orchestratorId)) {
      work.push(this.#takeIn(tokens, signal), relay.run(orchestratorId, signal))
    } else log.warn({ orchestratorId }, 'tasks of Neolith are not taken: this id cannot be the name of a tenant')
    work.push(this.#again('config', signal, () => this.#configure()))
    await Promise.all(work)
  }

  async #signIn(signal: AbortSignal): Promise<Tokens | undefined> {
    const { client, log } = this.#options
    this.#status = undefined
    let tokens: Tokens | undefined
    const join = async (): Promise<number> => {
      tokens = await client.join(SCOPES)
      return 0
    }
    await this.#again('sign-in', signal, join, () => tokens !== undefined)
    if (tokens) log.info({ orchestratorId: tokens.orchestratorId }, 'this node speaks to Neolith for the service')
    return tokens
  }

  async #configure(): Promise<number> {
    const { operationalConfig } = await this.#options.client.getConfig()
    this.#adopt(operationalConfig)
    return CONFIG_MS
  }

  #adopt({ messageRateLimitPerMinute, heartbeatIntervalMs }: OperationalConfig): void {
    this.#options.pace.perMinute = Math.max(1, messageRateLimitPerMinute)
    this.#heartbeatMs = within(Math.min(this.#options.heartbeatMs, heartbeatIntervalMs))
  }

  async #heartbeat(): Promise<number> {
    const { client, state, heartbeatMs } = this.#options
    const { works, status, metrics } = await state()
    await this.#tellStatus(works)
    const answer = await client.sendHeartbeat({ status: works ? status : 'busy', metrics })
    this.#heartbeatMs = within(Math.min(heartbeatMs, answer.heartbeatIntervalMs))
    return this.#heartbeatMs
  }

  /** Only changes. Never `error`: Neolith would not let us in again. */
  async #tellStatus(works: boolean): Promise<void> {
    const status = works ? 'active' : 'paused'
    if (status === this.#status) return
    await this.#options.client.updateStatus(status, works ? {} : { message: 'No worker takes on sessions' })
    this.#status = status
  }

  #takeIn({ orchestratorId: orchestrator, userId }: Tokens, signal: AbortSignal): Promise<void> {
    const { client, tasks, relay, onTaken: counted } = this.#options
    const onTaken = (count: number): void => {
      counted(count)
      relay.nudge()
    }
    const intake = new Intake({ client, tasks, orchestrator, userId, onTaken })
    return this.#again('events', signal, async () => ((await intake.look()) ? MORE_EVENTS_MS : EVENTS_MS))
  }

  /** Does `work` again and again, after the pause that it returns, or one of our own when it fails. */
  async #again(
    name: string,
    signal: AbortSignal,
    work: () => Promise<number>,
    done: () => boolean = () => false,
  ): Promise<void> {
    let failures = 0
    while (!signal.aborted && !done()) {
      let pauseMs: number
      try {
        pauseMs = await work()
        failures = 0
        this.#failing.delete(name)
      } catch (error) {
        if (signal.aborted) return
        this.#failed(name, error)
        const asked = error instanceof NeolithError ? (error.retryAfterMs ?? 0) : 0
        pauseMs = Math.max(asked, Math.min(FIRST_PAUSE_MS * 2 ** failures++, MAX_PAUSE_MS))
      }
      if (!done()) await pause(pauseMs, signal)
    }
  }

  #failed(work: string, error: unknown): void {
    const code = error instanceof NeolithError ? error.code : 'other'
    if (this.#failing.get(work) === code) return
    this.#failing.set(work, code)
    this.#options.log.warn({ err: error, work, code }, 'Neolith cannot be spoken to as it should be; trying again')
  }
}

const within = (ms: number): number => Math.min(Math.max(ms, MIN_HEARTBEAT_MS), MAX_HEARTBEAT_MS)

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  sleep(ms, undefined, { signal, ref: false }).catch(() => undefined)
