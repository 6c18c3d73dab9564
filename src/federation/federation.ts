/**
 * The federation as one node of the cluster serves it: takes delegations in, sees to open ones, and answers who would get
 * a task. Everything durable stands in the database, so all nodes serve the same federation and none of them matters.
 *
 *   delegate → row ▶ delegator ▶ chooseTarget ▶ runner ⇒ the target's session   result → row → whoever asks
 */
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { ServiceError } from '../protocol/errors.js'
import type { DelegationRequest, DelegationResult } from '../protocol/federation.js'
import { newTaskId } from '../protocol/ids.js'
import type { Holder } from '../protocol/permissions.js'
import type { DelegationRow, Delegations } from '../storage/delegations.js'
import type { FederationContext } from '../storage/federation-context.js'
import type { FederationInbox } from '../storage/federation-inbox.js'
import type { FederationOrchestrators } from '../storage/federation-orchestrators.js'
import type { FederationMetrics } from '../telemetry/metrics.js'
import type { Tracing } from '../telemetry/tracing.js'
import type { Assigned, TaskRunner } from './attempt.js'
import { targetOf } from './delegation-run.js'
import { Delegator, type DelegatorLog } from './delegator.js'
import type { Choice, Chosen } from './score.js'

/** Between looks at a row that another node may have finished; what ends here is noticed at once. */
const LOOK_MS = 500
/** Between forgetting what is old, and counting who is there. */
const HOUSEKEEPING_MS = 15_000
const MS_PER_SECOND = 1_000

export interface FederationDependencies {
  readonly id: string
  readonly orchestrators: FederationOrchestrators
  readonly delegations: Delegations
  readonly context: FederationContext
  readonly inbox: FederationInbox
  readonly runner: TaskRunner
  readonly metrics: FederationMetrics
  /** Undefined: nothing is traced. */
  readonly tracing?: Tracing | undefined
  readonly log: DelegatorLog
}

/** Told of what becomes of delegations that this node sees to. */
export interface DelegationListener {
  assigned?(row: Assigned, choice: Choice): void
  finished?(row: DelegationRow, result: DelegationResult): void
}

export class Federation {
  readonly orchestrators: FederationOrchestrators
  readonly context: FederationContext
  readonly inbox: FederationInbox
  readonly #deps: FederationDependencies
  readonly #delegator: Delegator
  readonly #listeners = new Set<DelegationListener>()
  #housekeeping: NodeJS.Timeout | undefined
  #live = 0

  constructor(deps: FederationDependencies) {
    this.#deps = deps
    this.orchestrators = deps.orchestrators
    this.context = deps.context
    this.inbox = deps.inbox
    this.#delegator = new Delegator({
      ...deps,
      onAssigned: (row, choice) => this.#tell((it) => it.assigned?.(row, choice)),
      onFinished: (row, result) => this.#finished(row, result),
    })
  }

  start(): void {
    this.#deps.metrics.watch({ registered: () => this.#live, open: () => this.#delegator.size })
    this.#delegator.start()
    this.#keepHouse()
    this.#housekeeping = setInterval(() => this.#keepHouse(), HOUSEKEEPING_MS)
  }

  /** In bounded time; what it saw to goes on at another node. May be called twice. */
  async stop(): Promise<void> {
    clearInterval(this.#housekeeping)
    await this.#delegator.stop()
  }

  listen(listener: DelegationListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Who would get this task now; undefined where the tenant has no orchestrators. Nothing is reserved. */
  async route(tenant: string, request: DelegationRequest): Promise<Chosen | undefined> {
    const orchestrators = await this.#deps.orchestrators.list(tenant)
    return orchestrators.length === 0 ? undefined : targetOf({ request, tried: [] }, orchestrators)
  }

  /**
   * Takes a delegation in; with an id that is known nothing happens again. Returns its id: from then on it comes to its
   * end, whatever becomes of this process. `traceparent` is where in a trace it is asked for.
   * @throws ServiceError `idempotency_conflict`, or `busy` when the tenant has too many open ones.
   */
  async submit({ tenant, subject: owner }: Holder, request: DelegationRequest, traceparent?: string): Promise<string> {
    const id = request.id ?? `delegation_${newTaskId()}`
    const bodyHash = hashOf(request)
    const created = await this.#deps.delegations.create({ tenant, owner, id, bodyHash, request, traceparent })
    if (created === 'conflict') throw new ServiceError('idempotency_conflict', { key: id })
    if (created === 'full') throw new ServiceError('busy', { retryAfterMs: LOOK_MS })
    if (created === 'new') this.#delegator.nudge()
    return id
  }

  /** The end of a delegation, whoever brings it about. Undefined when there is none of this id, or `signal` is aborted. */
  async result(tenant: string, id: string, signal: AbortSignal): Promise<DelegationResult | undefined> {
    while (!signal.aborted) {
      const ended = new AbortController()
      // Before the look, so that no end falls between.
      const forget = this.listen({ finished: (row) => isFor(row, tenant, id) && ended.abort() })
      try {
        const row = await this.#deps.delegations.find({ tenant, id })
        if (!row || row.result) return row?.result ?? undefined
        await sleep(LOOK_MS, undefined, { signal: AbortSignal.any([ended.signal, signal]) }).catch(() => undefined)
      } finally {
        forget()
      }
    }
    return undefined
  }

  find(tenant: string, id: string): Promise<DelegationRow | undefined> {
    return this.#deps.delegations.find({ tenant, id })
  }

  /** Asks for the end; how it ended, `result` tells. False when it has ended or does not exist. */
  async cancel(tenant: string, id: string): Promise<boolean> {
    const asked = await this.#deps.delegations.requestCancel({ tenant, id })
    if (asked) this.#delegator.nudge()
    return asked
  }

  countDelegations(tenant: string): ReturnType<Delegations['countByStatus']> {
    return this.#deps.delegations.countByStatus(tenant)
  }

  #finished(row: DelegationRow, result: DelegationResult): void {
    const { status, orchestrator, durationMs } = result
    const seconds = durationMs / MS_PER_SECOND
    this.#deps.metrics.delegated({ from: row.request.from, to: orchestrator ?? '', status, seconds })
    this.#tell((it) => it.finished?.(row, result))
  }

  #tell(about: (listener: DelegationListener) => void): void {
    for (const listener of [...this.#listeners]) about(listener)
  }

  #keepHouse(): void {
    const { orchestrators, delegations, inbox, log } = this.#deps
    const work = [orchestrators.removeGone(), delegations.forgetOld(), inbox.forgetExpired(), this.#count()]
    Promise.all(work).catch((err: unknown) => log.warn({ err }, 'the federation cannot be kept in order now'))
  }

  async #count(): Promise<void> {
    this.#live = await this.#deps.orchestrators.countLive()
  }
}

/** The same for two requests that ask for the same, through whichever door. */
function hashOf(request: DelegationRequest): string {
  const { from, to, capabilities, preferredCapabilities, region, minAvailableTokens } = request
  const { task, sessionType, context, timeoutMs, retries } = request
  const needs = [from, to, capabilities, preferredCapabilities, region, minAvailableTokens]
  const meaning = [...needs, task, sessionType, context, timeoutMs, retries]
  return createHash('sha256').update(JSON.stringify(meaning)).digest('hex').slice(0, 32)
}

const isFor = (row: DelegationRow, tenant: string, id: string): boolean => row.tenant === tenant && row.id === id
