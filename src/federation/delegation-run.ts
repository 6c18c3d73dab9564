/**
 * Carries one delegation through: finds who does it, has it done, writes down how it ended. Every step is a
 * compare-and-set of its row, so a second process that does the same changes nothing.
 */
import { ERRORS, type ErrorCode } from '../protocol/errors.js'
import type { DelegationFailure, DelegationResult } from '../protocol/federation.js'
import type { Priority, SessionType } from '../protocol/session.js'
import type { DelegationRow, Delegations } from '../storage/delegations.js'
import type { FederationOrchestrators } from '../storage/federation-orchestrators.js'
import type { Tracing } from '../telemetry/tracing.js'
import type { Assigned, AttemptOutcome, TaskRunner } from './attempt.js'
import { attemptSpan, endedAs } from './attempt-trace.js'
import { circuitOf, TRIALS } from './circuit.js'
import { type Choice, type Chosen, chooseTarget } from './score.js'

/** Pause before the next attempt, doubled with each: an overloaded orchestrator needs seconds, a person waits for minutes. */
const RETRY_FIRST_MS = 1_000
const RETRY_MAX_MS = 30_000
/** Of sessions where nobody says of which type they are to be. */
const DEFAULT_TYPE: SessionType = 'llm'
/** Who does the task where nobody has registered: the placement of sessions decides where. */
const NOBODY = 'default'

export interface RunDependencies {
  readonly delegations: Pick<Delegations, 'assign' | 'noteSession' | 'postpone' | 'finish'>
  readonly orchestrators: Pick<FederationOrchestrators, 'list'>
  readonly runner: TaskRunner
  /** Undefined: nothing is traced. */
  readonly tracing?: Tracing | undefined
  /** Told of each attempt that begins. */
  readonly onAssigned: (row: Assigned, choice: Choice) => void
  /** Told of the end, by the one process that wrote it. */
  readonly onFinished: (row: DelegationRow, result: DelegationResult) => void
}

interface Signals {
  /** Somebody asked for the end. */
  readonly cancel: AbortSignal
  readonly abandon: AbortSignal
}

export class DelegationRun {
  readonly #deps: RunDependencies
  readonly #signals: Signals
  /** When the row was as old as it says. */
  #seenAt = performance.now()

  constructor(deps: RunDependencies, signals: Signals) {
    this.#deps = deps
    this.#signals = signals
  }

  /** Moves the delegation on until it has ended or must wait. Resolves; what goes wrong in the stores rejects. */
  async carryOut(row: DelegationRow): Promise<void> {
    if (isAssigned(row)) return this.#attempt(row, true)
    if (this.#signals.cancel.aborted) return this.#finish(row, { status: 'cancelled' })
    if (row.leftMs <= 0) return this.#finish(row, stopped(true))
    const orchestrators = await this.#deps.orchestrators.list(row.tenant)
    const chosen = targetOf(row, orchestrators)
    if (chosen.status === 'none') return this.#notNow(row, chosen.reason, chosen.explanation)
    const target = chosen.choice.orchestrator
    const outcomes = orchestrators.find(({ id }) => id === target)?.outcomes ?? []
    const maxOpen = circuitOf(outcomes) === 'half-open' ? TRIALS : undefined
    const assigned = await this.#deps.delegations.assign(row, target, DEFAULT_TYPE, maxOpen)
    if (!assigned || !isAssigned(assigned)) return this.#notNow(row, 'overloaded', `no room at ${target}`)
    this.#seenAt = performance.now()
    this.#deps.onAssigned(assigned, chosen.choice)
    return this.#attempt(assigned, false)
  }

  async #attempt(row: Assigned, resumed: boolean): Promise<void> {
    const deadline = AbortSignal.timeout(Math.max(0, Math.ceil(row.leftMs)))
    const { delegations, runner, tracing } = this.#deps
    const span = tracing && attemptSpan(tracing, row, resumed)
    try {
      const outcome = await runner.run(row, resumed, {
        cancel: AbortSignal.any([deadline, this.#signals.cancel]),
        abandon: this.#signals.abandon,
        traceparent: span ? span.traceparent : (row.traceparent ?? undefined),
        onSession: (sessionId) => delegations.noteSession(row, sessionId),
      })
      span?.end(endedAs(outcome))
      await this.#settle(row, outcome, deadline.aborted)
    } finally {
      span?.end({ error: 'abandoned' })
    }
  }

  async #settle(row: Assigned, outcome: AttemptOutcome, late: boolean): Promise<void> {
    switch (outcome.status) {
      case 'abandoned':
        return
      case 'unknown':
        return this.#finish(row, { ...stopped(late), sessionId: outcome.sessionId, code: 'outcome_unknown' })
      case 'refused': {
        const { reason, code, error, retry } = outcome
        if (retry && mayTryAgain(row)) return this.#postpone(row)
        return this.#finish(row, { status: 'failed', reason, code, error })
      }
      case 'ended':
        return this.#ended(row, outcome, late)
    }
  }

  async #ended(row: Assigned, { end, sessionId }: EndedOutcome, late: boolean): Promise<void> {
    const about = { sessionId, usage: end.usage }
    if (end.type === 'task_completed') {
      return this.#finish(row, { ...about, status: 'completed', output: end.result.output })
    }
    if (end.type === 'task_cancelled') return this.#finish(row, { ...about, ...stopped(late) })
    if (mayHelpToRetry(end.code) && mayTryAgain(row)) return this.#postpone(row)
    return this.#finish(row, { ...about, status: 'failed', reason: 'rejected', code: end.code, error: end.error })
  }

  /** Nobody takes it at this moment. Those who cannot do it now will not be able to in a second. */
  async #notNow(row: DelegationRow, reason: DelegationFailure, error: string): Promise<void> {
    if (reason !== 'capability_mismatch' && mayTryAgain(row)) return this.#postpone(row)
    return this.#finish(row, { status: 'failed', reason, error })
  }

  #postpone(row: DelegationRow): Promise<void> {
    const pauseMs = Math.min(RETRY_FIRST_MS * 2 ** row.failures, RETRY_MAX_MS)
    return this.#deps.delegations.postpone(row, pauseMs)
  }

  async #finish(row: DelegationRow, ended: Ended): Promise<void> {
    const result: DelegationResult = {
      delegationId: row.id,
      taskId: taskIdOf(row),
      orchestrator: row.target ?? row.tried.at(-1) ?? null,
      sessionId: row.sessionId,
      attempts: row.attempt,
      durationMs: Math.round(row.ageMs + performance.now() - this.#seenAt),
      ...ended,
    }
    if (await this.#deps.delegations.finish(row, result)) this.#deps.onFinished(row, result)
  }
}

type Ended = Pick<DelegationResult, 'status'> & Partial<DelegationResult>
type EndedOutcome = Extract<AttemptOutcome, { status: 'ended' }>

/** Whom to give it to now; where nobody has registered and nobody is asked for, any worker will do. */
export function targetOf(
  row: Pick<DelegationRow, 'request' | 'tried'>,
  orchestrators: Awaited<ReturnType<FederationOrchestrators['list']>>,
): Chosen {
  const { request, tried } = row
  if (orchestrators.length === 0 && request.to === undefined && request.capabilities.length === 0) {
    const reasons = ['no orchestrator is registered: the placement of sessions decides']
    return { status: 'chosen', choice: { orchestrator: NOBODY, score: 0, reasons } }
  }
  return chooseTarget(orchestrators, request, priorityOf(request.task), tried)
}

const priorityOf = (task: DelegationRow['request']['task']): Priority =>
  typeof task === 'string' ? 'medium' : task.priority

/** The id that the one who asked knows the task by. */
export const taskIdOf = ({ id, request }: Pick<DelegationRow, 'id' | 'request'>): string =>
  (typeof request.task === 'string' ? undefined : request.task.id) ?? id

/** The end of a task that was stopped: by time, or because somebody asked for it. */
const stopped = (late: boolean): Ended =>
  late ? { status: 'failed', reason: 'timeout', error: 'not done in the time that was given' } : { status: 'cancelled' }

const mayTryAgain = ({ failures, request, leftMs }: DelegationRow): boolean => failures < request.retries && leftMs > 0

/** Another time or place may help, and the attempt is known to be over. */
const mayHelpToRetry = (code: string): boolean => code in ERRORS && ERRORS[code as ErrorCode].retryable

const isAssigned = (row: DelegationRow): row is Assigned => row.target !== null
