/**
 * The agent loop: ask the model, run the tools it calls, until it answers without a call. Everything is recorded in the
 * turn's journal, and `run` starts from whatever the journal holds already: a fresh turn is the case of an empty one.
 *
 *   open message ──▶ its rest is asked for ─┐
 *   open calls ────▶ run or given up ───────┼─▶ model ──▶ tools ──▶ model … ──▶ answer
 *   neither ────────────────────────────────┘
 */
import { type Model, ModelError, type ModelMessage, type Usage } from '../models/model.js'
import { userFailure } from '../models/user-failure.js'
import { ServiceError } from '../protocol/errors.js'
import type { AgentMemory } from './agent-memory.js'
import { type CONTINUATION_BACKOFF, completeAnswer, plannedCall } from './answer.js'
import { compact } from './context.js'
import type { ContextWindow } from './context-window.js'
import { SYSTEM_PROMPT, wellFormed } from './prompt.js'
import { withRecalled } from './recall.js'
import { finishedAnswer, type Runtime, type TaskResult, type Turn } from './runtime.js'
import { runCalls } from './tool-round.js'
import type { Toolbox } from './tools/toolbox.js'

/** Model calls of one turn. Tasks that need more have usually lost their way. */
const MAX_STEPS = 40
/** Every current model can write this much at once; a longer answer ends with finish reason `length`. */
const MAX_ANSWER_TOKENS = 8192

export interface LlmLoopParts {
  /** The model that the session names, else the settings. Throws `ServiceError` when there is none. */
  readonly selectModel: (wanted?: string) => Model | Promise<Model>
  /** US dollars for `usage` of a model. */
  readonly costOf: (model: string, usage: Usage) => number
  readonly tools: Toolbox
  readonly systemPrompt?: (turn: Turn) => string
  /** What a conversation must fit into; without it, it grows until the vendor refuses it. */
  readonly window?: ContextWindow
  /** What is looked up when a task begins. */
  readonly memory?: Pick<AgentMemory, 'search'>
  /** Waits before a cut answer is continued. */
  readonly backoff?: typeof CONTINUATION_BACKOFF
}

export class LlmLoop implements Runtime {
  readonly #parts: LlmLoopParts

  constructor(parts: LlmLoopParts) {
    this.#parts = parts
  }

  /** @throws ServiceError `openai_key_missing`, `model_*` when the vendor fails, `too_many_steps` after 40 model calls. */
  async run(turn: Turn): Promise<TaskResult> {
    const model = await this.#parts.selectModel(turn.options.model)
    try {
      return await this.#loop(turn, model)
    } catch (thrown) {
      throw thrown instanceof ModelError ? userFailure(thrown, model.provider) : thrown
    }
  }

  async #loop(turn: Turn, model: Model): Promise<TaskResult> {
    const { openMessage, openCalls, steps } = turn.progress
    const finished = finishedAnswer(turn)
    if (finished !== undefined) return { output: finished }
    const { memory, tools } = this.#parts
    let messages = memory ? await withRecalled(turn, memory) : turn.progress.messages
    messages = [...messages, ...(await runCalls(turn, tools, openCalls))]
    for (let step = steps; step < MAX_STEPS; step++) {
      const resumed = step === steps ? openMessage : undefined
      // A message that clients have seen the beginning of is finished first, after what it was begun after.
      if (!resumed) messages = await this.#compacted(turn, model, messages)
      const answer = await this.#ask(turn, model, messages, resumed?.text)
      if (answer.toolCalls.length === 0) return { output: answer.text }
      const said = { role: 'assistant', text: answer.text, toolCalls: answer.toolCalls } as const
      messages = [...messages, said, ...(await runCalls(turn, tools, answer.toolCalls))]
    }
    throw new ServiceError('too_many_steps', { limit: MAX_STEPS })
  }

  async #compacted(turn: Turn, model: Model, messages: readonly ModelMessage[]): Promise<readonly ModelMessage[]> {
    const { window, costOf } = this.#parts
    return window ? compact(turn, this.#request(turn, model, messages), { model, costOf, window }) : messages
  }

  #request(turn: Turn, model: Model, messages: readonly ModelMessage[]) {
    const system = this.#parts.systemPrompt?.(turn) ?? SYSTEM_PROMPT
    return { model, system, messages, tools: this.#parts.tools.specs, maxTokens: MAX_ANSWER_TOKENS }
  }

  /** One model call. `openText` is the text of a message that is already open; without it a new one is begun. */
  async #ask(turn: Turn, model: Model, messages: readonly ModelMessage[], openText: string | undefined) {
    const { costOf, window, backoff } = this.#parts
    const request = this.#request(turn, model, wellFormed(messages))
    const { model: _called, ...rest } = request
    const conversation = window ? { ...rest, messages: wellFormed(await window.fit(request)) } : rest
    const shown = openText ?? ''
    // Before the message is begun: a task that has no budget for it shows nothing of it.
    const allowance = await turn.reserve(plannedCall(model, conversation, shown))
    if (openText === undefined) await turn.journal.messageStarted(model.name)
    const answer = await completeAnswer(turn, model, conversation, { shown, allowance, backoff })
    const { toolCalls, finishReason, usage } = answer
    await turn.journal.messageEnded({ toolCalls, finishReason, usage, cost: costOf(model.name, usage) })
    return answer
  }
}
