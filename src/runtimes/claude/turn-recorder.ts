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
import type { Turn } from '../runtime.js'
import type { Listener, ToolEnd, ToolUse } from './claude-process.js'
import { failureOf } from './failure.js'
import { type CallOptions, NOT_RECORDED, RecordedCalls } from './recorded-calls.js'
import { SpokenMessage, type StreamEvent, usageOf } from './spoken-message.js'
import { outcomeOf } from './tool-outcome.js'

/** Model calls of one turn, its agents' included: what takes more has usually lost its way. */
export const MAX_STEPS = 200
const MAX_REASON_CHARS = 500

export interface RecorderOptions extends CallOptions {
  readonly costOf: (model: string, usage: Usage) => number
  /** Told of every answer of the model; `seconds` from its first word, 0 for an agent's, which come whole. */
  readonly onAnswer: (model: string, seconds: number, usage: Usage, cost: number) => void
}

const MS_PER_SECOND = 1_000
const CUT = 'The answer that made this call broke off; make the call again.'

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
  readonly #calls: RecordedCalls
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
    this.#calls = new RecordedCalls(turn, options)
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
    this.#calls.close()
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
      return await this.#calls.begin(use)
    } catch (error) {
      this.close(error)
      return NOT_RECORDED
    }
  }

  async afterTool(use: ToolUse, end: ToolEnd): Promise<string | undefined> {
    if (this.#isClosed) return undefined
    try {
      const note = (await this.#calls.end(use.callId, outcomeOf(end)))?.note
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
        return await this.#calls.takeResults(message.message.content)
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
    this.#calls.refuse(message.toolCalls, CUT)
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
    this.#calls.asked(toolCalls, undefined)
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
    const agent = said.subagent_type ?? this.#calls.agentOf(said.parent_tool_use_id)
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
    this.#calls.asked(toolCalls, agent)
  }

  /** The blocks of one message all carry the usage of the whole. */
  #countOnce(messageId: string, usage: Usage): Usage {
    if (this.#countedMessages.has(messageId)) return { promptTokens: 0, completionTokens: 0 }
    this.#countedMessages.add(messageId)
    return usage
  }

  async #takeEnd(result: SDKResultMessage): Promise<void> {
    await this.#cutMessage()
    await this.#calls.endAll()
    const failure = failureOf(result)
    if (failure) return this.close(failure)
    this.#isClosed = true
    this.#calls.close()
    this.#resolveDone(this.#saidBefore + (result.subtype === 'success' ? result.result : ''))
  }
}
