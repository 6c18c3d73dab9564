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
import { type CONTINUATION_BACKOFF, completeAnswer, plannedCall } from './answer.js'
import { SYSTEM_PROMPT, wellFormed } from './prompt.js'
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
    const messages = [...turn.progress.messages]
    messages.push(...(await runCalls(turn, this.#parts.tools, openCalls)))
    for (let step = steps; step < MAX_STEPS; step++) {
      const resumed = step === steps ? openMessage : undefined
      const answer = await this.#ask(turn, model, messages, resumed?.text)
      if (answer.toolCalls.length === 0) return { output: answer.text }
      messages.push({ role: 'assistant', text: answer.text, toolCalls: answer.toolCalls })
      messages.push(...(await runCalls(turn, this.#parts.tools, answer.toolCalls)))
    }
    throw new ServiceError('too_many_steps', { limit: MAX_STEPS })
  }

  /** One model call. `openText` is the text of a message that is already open; without it a new one is begun. */
  async #ask(turn: Turn, model: Model, messages: readonly ModelMessage[], openText: string | undefined) {
    const { tools, costOf, systemPrompt, backoff } = this.#parts
    const conversation = {
      system: systemPrompt?.(turn) ?? SYSTEM_PROMPT,
      messages: wellFormed(messages),
      tools: tools.specs,
      maxTokens: MAX_ANSWER_TOKENS,
    }
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
