/**
 * Writes a turn's journal from what Claude Code says and does: text as it is spoken, each message when it has ended, and
 * each tool call before it runs. Tools begin while their message is still being written; they are held until it is on
 * record, so that the journal has the order that it has everywhere.
 */
import type { SDKAssistantMessage, SDKMessage, SDKResultMessage } from '@anthropic-ai/claude-agent-sdk'
import { chatEnd, chatSpan } from '../../models/chat-span.js'
import type { ToolRequest, Usage } from '../../models/model.js'
import { ServiceError } from '../../protocol/errors.js'
import { hookNote } from '../prompt.js'
import type { EffectClass, ToolOutcome, Turn } from '../runtime.js'
import { toolEnd, toolSpan } from '../tool-span.js'
import type { Listener, ToolEnd, ToolUse } from './claude-process.js'
import { failureOf } from './failure.js'
import { SpokenMessage, type StreamEvent, usageOf } from './spoken-message.js'
import { outcomeOf, textOf } from './tool-outcome.js'

/** Model calls of one turn, its agents' included: what takes more has usually lost its way. */
export const MAX_STEPS = 200
const MAX_REASON_CHARS = 500

export interface RecorderOptions {
  readonly costOf: (model: string, usage: Usage) => number
  readonly effectOf: (tool: string, input: ToolRequest['input']) => EffectClass
  /** Why a call must not run; see Turn.permit. */
  readonly refusalOf: (call: ToolRequest, effect: EffectClass) => Promise<ToolOutcome | undefined>
  /** Told of every answer of the model; `seconds` from its first word, 0 for an agent's, which come whole. */
  readonly onAnswer: (model: string, seconds: number, usage: Usage, cost: number) => void
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
const CUT = 'The answer that made this call broke off; make the call again.'
const NOT_RECORDED = 'This call could not be recorded, so it was not made.'

export class TurnRecorder implements Listener {
  readonly #turn: Turn
  readonly #options: RecorderOptions
  #message: SpokenMessage | undefined
  /** A message that a former owner left open: the next text continues it. */
  #continued: boolean
  /** What of the last message was said before this process began. */
  #saidBefore = ''
  /** What agents said while a message of the session was open. */
  #later: SDKAssistantMessage[] = []
  #steps: number
  readonly #calls = new Map<string, OpenCall>()
  /** Tools that wait for their message to be on record, by call id. */
  readonly #held = new Map<string, (refusal: string | undefined) => void>()
  readonly #countedMessages = new Set<string>()
  /** The text of the last message. Rejects with what ended the turn otherwise. */
  readonly done: Promise<string>
  /** Resolves when Claude Code is through with the task, recorded or not. */
  readonly over: Promise<void>
  #resolveDone!: (output: string) => void
  #rejectDone!: (reason: unknown) => void
  #resolveOver!: () => void
  #isClosed = false
  #hasLostWrites = false

  constructor(turn: Turn, options: RecorderOptions) {
    this.#turn = turn
    this.#options = options
    this.#steps = turn.progress.steps
    this.#continued = turn.progress.openMessage !== undefined && turn.progress.openMessage.agent === undefined
    this.done = new Promise((resolve, reject) => {
      this.#resolveDone = resolve
      this.#rejectDone = reject
    })
    this.over = new Promise((resolve) => {
      this.#resolveOver = resolve
    })
    this.done.catch(() => undefined)
  }

  /** The transcript lacks something: only a process that starts from it knows what the next owner will know. */
  get hasLostWrites(): boolean {
    return this.#hasLostWrites
  }

  /** Whether the model has begun to answer in this turn. */
  get hasAnswer(): boolean {
    return this.#steps > this.#turn.progress.steps
  }

  /** Records nothing from here on. */
  close(reason: unknown): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#rejectDone(reason)
    for (const release of this.#held.values()) release(NOT_RECORDED)
    this.#held.clear()
  }

  async take(message: SDKMessage): Promise<void> {
    if (!this.#isClosed) await this.#record(message).catch((error: unknown) => this.close(error))
    if (message.type === 'result') this.#resolveOver()
  }

  ended(error: unknown): void {
    const reason = error instanceof Error ? error.message.slice(0, MAX_REASON_CHARS) : 'its process ended'
    this.close(new ServiceError('runtime_failed', { reason }, { cause: error }))
    this.#resolveOver()
  }

  async beforeTool(use: ToolUse): Promise<string | undefined> {
    try {
      return await this.#begin(use)
    } catch (error) {
      this.close(error)
      return NOT_RECORDED
    }
  }

  async afterTool(use: ToolUse, end: ToolEnd): Promise<string | undefined> {
    if (this.#isClosed) return undefined
    try {
      const note = (await this.#end(use.callId, outcomeOf(end)))?.note
      return note === undefined ? undefined : hookNote(note)
    } catch (error) {
      this.close(error)
      return undefined
    }
  }

  async #record(message: SDKMessage): Promise<void> {
    switch (message.type) {
      case 'stream_event':
        return message.parent_tool_use_id === null ? await this.#takeEvent(message.event) : undefined
      case 'assistant':
        return message.parent_tool_use_id === null ? undefined : await this.#takeFromAgent(message)
      case 'user':
        return await this.#takeResults(message.message.content)
      case 'system':
        return message.subtype === 'mirror_error' ? this.#loseWrites(message.error) : undefined
      case 'result':
        return await this.#takeEnd(message)
      default:
        return undefined
    }
  }

  #loseWrites(reason: string): never {
    this.#hasLostWrites = true
    throw new ServiceError('unavailable', { reason: `the conversation could not be kept: ${reason}` })
  }

  async #takeEvent(event: StreamEvent): Promise<void> {
    if (event.type === 'message_start') return await this.#startMessage(event.message.model, event.message.usage)
    const message = this.#message
    if (!message) return
    const text = message.take(event)
    if (text !== '') this.#turn.journal.text(text)
    if (event.type === 'message_stop') await this.#endMessage(message, message.finishReason, message.toolCalls)
  }

  async #startMessage(model: string, usage: ConstructorParameters<typeof SpokenMessage>[1]): Promise<void> {
    if (this.#message) await this.#cutMessage()
    this.#countStep()
    if (!this.#continued) await this.#turn.journal.messageStarted(model)
    this.#saidBefore = this.#continued ? (this.#turn.progress.openMessage?.text ?? '') : ''
    this.#continued = false
    this.#message = new SpokenMessage(model, usage)
  }

  #countStep(): void {
    this.#steps += 1
    if (this.#steps > MAX_STEPS) throw new ServiceError('too_many_steps', { limit: MAX_STEPS })
  }

  /** Claude Code asks anew for an answer whose stream broke: what clients have seen of it stands. */
  async #cutMessage(): Promise<void> {
    const message = this.#message
    if (!message) return
    for (const { callId } of message.toolCalls) this.#release(callId, CUT)
    await this.#endMessage(message, 'cancelled', [])
  }

  async #endMessage(
    message: SpokenMessage,
    finishReason: SpokenMessage['finishReason'] | 'cancelled',
    toolCalls: readonly ToolRequest[],
  ): Promise<void> {
    const { model, usage, seconds } = message
    this.#message = undefined
    const cost = this.#options.costOf(model, usage)
    this.#options.onAnswer(model, seconds, usage, cost)
    this.#traceAnswer(model, seconds, usage, finishReason)
    await this.#turn.journal.messageEnded({ toolCalls, finishReason, usage, cost })
    this.#ask(toolCalls, undefined)
    const later = this.#later
    this.#later = []
    for (const each of later) await this.#takeFromAgent(each)
  }

  /** The call itself is made by Claude Code: what is known of its time is when its answer began. */
  #traceAnswer(name: string, seconds: number, usage: Usage, finish: SpokenMessage['finishReason'] | 'cancelled'): void {
    const { trace } = this.#turn
    if (!trace) return
    const startedAt = performance.now() - seconds * MS_PER_SECOND
    const span = chatSpan(trace, { provider: 'anthropic', name, startedAt })
    span.end(finish === 'cancelled' ? { error: 'cut' } : chatEnd({ usage, finishReason: finish }))
  }

  /** Agents' messages come block by block, each whole. */
  async #takeFromAgent(said: SDKAssistantMessage): Promise<void> {
    if (this.#message) {
      this.#later.push(said)
      return
    }
    const { message } = said
    const agent = said.subagent_type ?? this.#agentOf(said.parent_tool_use_id)
    const toolCalls = message.content.flatMap((block) =>
      block.type === 'tool_use'
        ? [{ callId: block.id, name: block.name, input: block.input as ToolRequest['input'] }]
        : [],
    )
    const text = message.content.map((block) => (block.type === 'text' ? block.text : '')).join('')
    if (text === '' && toolCalls.length === 0) return
    const usage = this.#countOnce(message.id, usageOf(message.usage))
    this.#countStep()
    await this.#turn.journal.messageStarted(message.model, agent)
    if (text !== '') this.#turn.journal.text(text)
    const finishReason = toolCalls.length > 0 ? 'tool_calls' : 'stop'
    const cost = this.#options.costOf(message.model, usage)
    if (usage.promptTokens > 0) {
      this.#options.onAnswer(message.model, 0, usage, cost)
      this.#traceAnswer(message.model, 0, usage, finishReason)
    }
    await this.#turn.journal.messageEnded({ toolCalls, finishReason, usage, cost })
    this.#ask(toolCalls, agent)
  }

  /** The blocks of one message all carry the usage of the whole. */
  #countOnce(messageId: string, usage: Usage): Usage {
    if (this.#countedMessages.has(messageId)) return { promptTokens: 0, completionTokens: 0 }
    this.#countedMessages.add(messageId)
    return usage
  }

  #agentOf(callId: string | null): string {
    const input = callId === null ? undefined : this.#calls.get(callId)?.call.input
    return typeof input?.subagent_type === 'string' ? input.subagent_type : 'agent'
  }

  #ask(calls: readonly ToolRequest[], agent: string | undefined): void {
    for (const call of calls) {
      this.#calls.set(call.callId, { call, agent, startedAt: undefined })
      this.#release(call.callId, undefined)
    }
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

  async #begin(use: ToolUse): Promise<string | undefined> {
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
      await this.#end(call.callId, refusal)
      return refusal.status === 'failed' ? refusal.error : JSON.stringify(refusal.result)
    }
    this.#turn.beforeEffect()
    return undefined
  }

  async #end(callId: string, outcome: ToolOutcome): Promise<ToolOutcome | undefined> {
    const open = this.#calls.get(callId)
    if (!open) return undefined
    this.#calls.delete(callId)
    const { call, startedAt } = open
    // Claude Code itself refused it: the arguments were not what the tool takes.
    if (startedAt === undefined) await this.#turn.journal.toolStarted(call, 'read', open.agent)
    if (this.#turn.trace) toolSpan(this.#turn.trace, call, startedAt).end(toolEnd(outcome))
    const final = await this.#turn.journal.toolEnded(call, outcome)
    this.#options.onToolEnded(call.name, (performance.now() - (startedAt ?? performance.now())) / 1_000, outcome)
    return final
  }

  /** Results of calls that ended without a word of the hooks. */
  async #takeResults(content: unknown): Promise<void> {
    if (!Array.isArray(content)) return
    for (const block of content as readonly { type?: string; tool_use_id?: string; content?: unknown }[]) {
      if (block.type !== 'tool_result' || block.tool_use_id === undefined) continue
      await this.#end(block.tool_use_id, { status: 'failed', error: textOf(block.content) || 'failed' })
    }
  }

  async #takeEnd(result: SDKResultMessage): Promise<void> {
    await this.#cutMessage()
    for (const callId of [...this.#calls.keys()]) await this.#end(callId, NO_RESULT)
    const failure = failureOf(result)
    if (failure) return this.close(failure)
    this.#isClosed = true
    this.#resolveDone(this.#saidBefore + (result.subtype === 'success' ? result.result : ''))
  }
}
