/**
 * The tool calls of a turn that Claude Code runs: each is held until the message that asks for it is on record, and is on
 * record itself before it runs.
 */
import type { ToolRequest } from '../../models/model.js'
import type { EffectClass, ToolOutcome, Turn } from '../runtime.js'
import { toolEnd, toolSpan } from '../tool-span.js'
import type { ToolUse } from './claude-process.js'
import { textOf } from './tool-outcome.js'

export interface CallOptions {
  readonly effectOf: (tool: string, input: ToolRequest['input']) => EffectClass
  /** Why a call must not run; see Turn.permit. */
  readonly refusalOf: (call: ToolRequest, effect: EffectClass) => Promise<ToolOutcome | undefined>
  /** Told of every tool call that ended. */
  readonly onToolEnded: (name: string, seconds: number, outcome: ToolOutcome) => void
}

/** A call that the model has asked for. */
interface OpenCall {
  readonly call: ToolRequest
  readonly agent: string | undefined
  startedAt: number | undefined
}

const NO_RESULT: ToolOutcome = { status: 'failed', error: 'Interrupted: this call has no result.' }
const MS_PER_SECOND = 1_000
export const NOT_RECORDED = 'This call could not be recorded, so it was not made.'

export class RecordedCalls {
  readonly #turn: Turn
  readonly #options: CallOptions
  readonly #calls = new Map<string, OpenCall>()
  /** Tools that wait for their message to be on record, by call id. */
  readonly #held = new Map<string, (refusal: string | undefined) => void>()
  #isClosed = false

  constructor(turn: Turn, options: CallOptions) {
    this.#turn = turn
    this.#options = options
  }

  /** Nothing is recorded any more: what is held does not run. */
  close(): void {
    this.#isClosed = true
    for (const release of this.#held.values()) release(NOT_RECORDED)
    this.#held.clear()
  }

  /** The message with these calls is on record: they may run. */
  asked(calls: readonly ToolRequest[], agent: string | undefined): void {
    for (const call of calls) {
      this.#calls.set(call.callId, { call, agent, startedAt: undefined })
      this.#release(call.callId, undefined)
    }
  }

  /** The message with these calls will never be on record whole. */
  refuse(calls: readonly ToolRequest[], refusal: string): void {
    for (const { callId } of calls) this.#release(callId, refusal)
  }

  /** The name of the agent that a call started. */
  agentOf(callId: string | null): string {
    const input = callId === null ? undefined : this.#calls.get(callId)?.call.input
    return typeof input?.subagent_type === 'string' ? input.subagent_type : 'agent'
  }

  /** Resolves when the call may run, with a sentence for the model when it may not. */
  async begin(use: ToolUse): Promise<string | undefined> {
    const unrecorded = await this.#onRecord(use.callId)
    const open = this.#calls.get(use.callId)
    if (unrecorded !== undefined || !open) return unrecorded ?? NOT_RECORDED
    this.#turn.signal.throwIfAborted()
    // What Claude Code is about to do, which may be more exact than what the model wrote.
    const call: ToolRequest = { ...open.call, input: use.input }
    const effect = this.#options.effectOf(call.name, call.input)
    const refused = await this.#options.refusalOf(call, effect)
    open.startedAt = performance.now()
    // A call that is refused does nothing: that is what `read` says to whoever reads the journal.
    const begun = await this.#turn.journal.toolStarted(call, refused ? 'read' : effect, open.agent)
    const refusal = refused ?? begun
    if (refusal) {
      await this.end(call.callId, refusal)
      return refusal.status === 'failed' ? refusal.error : JSON.stringify(refusal.result)
    }
    this.#turn.beforeEffect()
    return undefined
  }

  /** Resolves with what is on record; undefined for a call that had ended. */
  async end(callId: string, outcome: ToolOutcome): Promise<ToolOutcome | undefined> {
    const open = this.#calls.get(callId)
    if (!open) return undefined
    this.#calls.delete(callId)
    const { call, startedAt } = open
    // Claude Code itself refused it: the arguments were not what the tool takes.
    if (startedAt === undefined) await this.#turn.journal.toolStarted(call, 'read', open.agent)
    if (this.#turn.trace) toolSpan(this.#turn.trace, call, startedAt).end(toolEnd(outcome))
    const final = await this.#turn.journal.toolEnded(call, outcome)
    const seconds = (performance.now() - (startedAt ?? performance.now())) / MS_PER_SECOND
    this.#options.onToolEnded(call.name, seconds, outcome)
    return final
  }

  /** Results of calls that ended without a word of the hooks. */
  async takeResults(content: unknown): Promise<void> {
    if (!Array.isArray(content)) return
    for (const block of content as readonly { type?: string; tool_use_id?: string; content?: unknown }[]) {
      if (block.type !== 'tool_result' || block.tool_use_id === undefined) continue
      await this.end(block.tool_use_id, { status: 'failed', error: textOf(block.content) || 'failed' })
    }
  }

  /** What has no result now will have none. */
  async endAll(): Promise<void> {
    for (const callId of [...this.#calls.keys()]) await this.end(callId, NO_RESULT)
  }

  #release(callId: string, refusal: string | undefined): void {
    this.#held.get(callId)?.(refusal)
    this.#held.delete(callId)
  }

  /** Resolves when the message with this call is on record, with a refusal when it will not be. */
  #onRecord(callId: string): Promise<string | undefined> {
    if (this.#isClosed) return Promise.resolve(NOT_RECORDED)
    if (this.#calls.has(callId)) return Promise.resolve(undefined)
    return new Promise((resolve) => this.#held.set(callId, resolve))
  }
}
