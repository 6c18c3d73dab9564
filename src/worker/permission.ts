/**
 * Whether a tool call of a turn may run: what the charter and hooks say, and what a person says where one is asked.
 *
 *   gate, hooks ─▶ allow
 *        ─▶ deny ─▶ failed outcome
 *        ─▶ ask ─▶ row in Postgres ─▶ approval_request ─▶ wait ─▶ approval_resolved ─▶ run, or failed outcome
 */
import { createHash } from 'node:crypto'
import type { ToolRequest } from '../models/model.js'
import type { ApprovalOutcome } from '../protocol/approvals.js'
import { ServiceError } from '../protocol/errors.js'
import type { NewEvent } from '../protocol/events.js'
import { newApprovalId } from '../protocol/ids.js'
import type { Verdict } from '../runtimes/gate.js'
import type { EffectClass, ToolOutcome } from '../runtimes/runtime.js'
import type { Approval, Decided } from '../storage/approvals.js'
import type { SessionServices } from './session-services.js'
import type { EventBase } from './step-journal.js'
import type { TurnHooks } from './turn-hooks.js'

/** Of one text in what a person is shown: enough to see what it is about. */
const SHOWN_CHARS = 2_000

type Ask = Extract<Verdict, { decision: 'ask' }>
type Denied = Extract<Verdict, { decision: 'deny' }> & { readonly by: 'charter' | 'hook' }
type Judged = Exclude<Verdict, { decision: 'deny' }> | Denied

export interface PermissionOptions {
  readonly sessionId: string
  readonly tenant: string
  readonly commandId: string
  readonly taskId: string
  readonly workspace: string
  /** Number of the ownership. */
  readonly epoch: number
  readonly signal: AbortSignal
  readonly services: Pick<SessionServices, 'gate' | 'approvals' | 'audit' | 'onVerdict' | 'onApproval'>
  readonly hooks: TurnHooks
  readonly base: () => EventBase
  readonly record: (event: NewEvent) => Promise<void>
  /** Whether the log says already that this was asked, and how it ended. */
  readonly onRecord: (approvalId: string) => 'asked' | 'resolved' | undefined
  /** Nothing runs while a person is waited for: gives the slot back; the result takes it again. */
  readonly pause: () => () => Promise<void>
}

export class Permission {
  readonly #options: PermissionOptions

  constructor(options: PermissionOptions) {
    this.#options = options
  }

  /** See `Turn.permit`. */
  async permit(call: ToolRequest, effect: EffectClass, wasInterrupted = false): Promise<ToolOutcome | undefined> {
    const judged = await this.#judge(call)
    const ofTheTool = judged.decision === 'allow' && effect === 'ask' ? OF_THE_TOOL : judged
    const verdict = wasInterrupted && ofTheTool.decision === 'ask' ? { ...ofTheTool, reason: ONCE_MORE } : ofTheTool
    this.#options.services.onVerdict(verdict.decision)
    const refusal = await this.#refusalOf(call, verdict, wasInterrupted)
    if (refusal) this.#options.hooks.withdraw(call.callId)
    return refusal
  }

  /** Hooks are not asked about what the charter forbids; what either wants a person for is asked about once. */
  async #judge(call: ToolRequest): Promise<Judged> {
    const { services, hooks, workspace } = this.#options
    const judged = services.gate.judge({ tool: call.name, input: call.input, workspace })
    if (judged.decision === 'deny') return { ...judged, by: 'charter' }
    const hooked = await hooks.before(call, workspace)
    if (hooked.decision === 'deny') return { ...hooked, by: 'hook' }
    return judged.decision === 'ask' ? judged : hooked
  }

  async #refusalOf(call: ToolRequest, verdict: Judged, wasInterrupted: boolean): Promise<ToolOutcome | undefined> {
    if (verdict.decision === 'allow') return undefined
    // What was approved before is the first run; each owner that would repeat it asks for itself.
    const attempt = wasInterrupted ? `~${this.#options.epoch}` : ''
    if (verdict.decision === 'ask') return await this.#ask(call, verdict, attempt)
    this.#noteDenied(call, verdict)
    return { status: 'failed', error: verdict.reason }
  }

  #noteDenied({ name, callId }: ToolRequest, { rule, reason, by: actor }: Denied): void {
    const { services, tenant, sessionId } = this.#options
    const detail = { tool: name, rule, reason }
    services.audit({ tenant, actor, action: 'tool.denied', sessionId, subject: callId, detail })
  }

  async #ask(call: ToolRequest, verdict: Ask, attempt: string): Promise<ToolOutcome | undefined> {
    const { services, signal } = this.#options
    try {
      const approval = await services.approvals.request(this.#requestOf(call, verdict, attempt), signal)
      await this.#announce(call, verdict, approval)
      const decided = await this.#wait(approval)
      await this.#resolve(call, decided)
      return outcomeOf(decided)
    } catch (error) {
      if (!(error instanceof ServiceError) || error.code !== 'unavailable') throw error
      return { status: 'failed', error: `${verdict.reason} Nobody could be asked: ${error.message}. Try again later.` }
    }
  }

  #requestOf({ callId: id, name, input }: ToolRequest, { reason, rule, level }: Ask, attempt: string) {
    const callId = `${id}${attempt}`
    const { tenant, sessionId, commandId } = this.#options
    const requestHash = createHash('sha256')
      .update(JSON.stringify([name, input]))
      .digest('hex')
    const asked = { id: newApprovalId(), tenant, sessionId, commandId, callId, tool: name, requestHash }
    return { ...asked, input: JSON.stringify(shownInput(input)), reason, rule, level }
  }

  async #announce({ callId, name, input }: ToolRequest, { reason, level }: Ask, approval: Approval): Promise<void> {
    const { base, record, onRecord, taskId } = this.#options
    const { id: approvalId, expiresAt } = approval
    if (onRecord(approvalId) !== undefined) return
    const what = { taskId, approvalId, callId, toolName: name, toolInput: shownInput(input) }
    await record({ type: 'approval_request', ...base(), ...what, reason, level, expiresAt: expiresAt.toISOString() })
  }

  async #wait(approval: Approval): Promise<Decided> {
    const { services, signal, pause } = this.#options
    if (approval.state !== 'pending') return { ...approval, state: approval.state }
    const startedAt = performance.now()
    const told = (outcome: ApprovalOutcome | 'aborted') =>
      services.onApproval(outcome, (performance.now() - startedAt) / 1_000)
    const goOn = pause()
    try {
      const decided = await services.approvals.decided(approval, signal)
      told(decided.state)
      return decided
    } catch (error) {
      told('aborted')
      throw error
    } finally {
      await goOn()
    }
  }

  async #resolve({ callId, name }: ToolRequest, decided: Decided): Promise<void> {
    const { base, record, onRecord, taskId } = this.#options
    const { id: approvalId, state: status, decidedBy, comment } = decided
    if (onRecord(approvalId) === 'resolved') return
    const what = { taskId, approvalId, callId, toolName: name, status }
    const who = { ...(decidedBy !== null && { decidedBy }), ...(comment !== null && { comment }) }
    await record({ type: 'approval_resolved', ...base(), ...what, ...who })
  }
}

/** A tool whose every call is for a person to allow. */
const OF_THE_TOOL: Ask = {
  decision: 'ask',
  reason: 'This tool asks a person before each call.',
  rule: 'effect: ask',
  level: 'confirm',
}

const ONCE_MORE =
  'This tool asks a person before each call. This one had begun and was interrupted: what came of it is unknown. Approve it only to have it run once more.'

function outcomeOf({ state, comment }: Decided): ToolOutcome | undefined {
  if (state === 'approved') return undefined
  const why = comment ? `: ${comment}` : ''
  return {
    status: 'failed',
    error: `${SENTENCES[state]}${why}. Do not try it another way; go on without it, or say what you need.`,
  }
}

const SENTENCES = {
  rejected: 'A person was asked about this call and rejected it',
  expired: 'A person had to approve this call, and nobody answered in time',
  cancelled: 'The question about this call was withdrawn',
} as const

/** Input with long texts cut: people read it, and the log carries it. */
function shownInput(input: ToolRequest['input']): Record<string, unknown> {
  const cut = (value: unknown): unknown => {
    if (typeof value === 'string' && value.length > SHOWN_CHARS)
      return `${value.slice(0, SHOWN_CHARS)}… (${value.length} characters)`
    if (Array.isArray(value)) return value.slice(0, 50).map(cut)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value)
        .slice(0, 50)
        .map(([name, each]) => [name, cut(each)]),
    )
  }
  return cut(input) as Record<string, unknown>
}
