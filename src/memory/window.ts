/**
 * The window of a conversation: when its beginning is to be summed up, and what of it is sent when it is too long all the
 * same. Both are functions of the conversation and the settings alone, so every owner of a session decides alike.
 *
 *   0 ─────────────── threshold ──────────── most ── max
 *     sent as it is     summed up to a tail   │  room for the answer
 *                       of a quarter          └─ cut to here
 */
import type { Model, ModelMessage, ToolSpec } from '../models/model.js'
import { ServiceError } from '../protocol/errors.js'
import { atMost, frameTokens, messageTokens, type TokenCount, tokenCount } from './tokens.js'

export interface WindowSettings {
  /** DAEMON_MAX_CONTEXT_TOKENS: prompt and answer together. */
  readonly maxTokens: number
  readonly compactionEnabled: boolean
  /** How full, from 0 to 1, when it is summed up. */
  readonly threshold: number
}

export interface WindowRequest {
  readonly model: Pick<Model, 'provider'>
  readonly system: string
  readonly tools: readonly ToolSpec[]
  readonly messages: readonly ModelMessage[]
  readonly maxTokens: number
}

/** What stays as it was said when the rest is summed up, of what fills the window to the threshold. */
const TAIL_SHARE = 0.3
/** Of the window: one result of a tool may not crowd out everything else. */
const TOOL_SHARE = 0.25
/** Summing up less than this share of it would not be worth its call. */
const LEAST_SHARE = 0.125
/** Room for an answer, at most. */
const ANSWER_SHARE = 0.25
/** With less, nothing sensible can be asked. */
const MIN_TOKENS = 200
const CHARS_PER_TOKEN = 3
const CUT_NOTE = '\n[… cut: too long for the context …]\n'
const LEFT_OUT = 'Earlier messages of this conversation are left out here; memory_search finds them.'

export class Window {
  readonly #settings: WindowSettings
  readonly #counted = new WeakMap<ModelMessage, number>()

  constructor(settings: WindowSettings) {
    this.#settings = settings
  }

  /** A summary is asked for within the same window. */
  get summedChars(): number {
    return Math.floor(this.#settings.maxTokens * (1 - ANSWER_SHARE) * CHARS_PER_TOKEN)
  }

  async due(request: WindowRequest): Promise<number> {
    const { maxTokens, compactionEnabled, threshold } = this.#settings
    const limit = Math.min(threshold * maxTokens, maxTokens - this.#answerTokens(request))
    if (!compactionEnabled || total(request, atMost) <= limit) return 0
    const count = await this.#countOf(request)
    const frame = frameTokens(request.system, request.tools, await tokenCount(request.model.provider))
    if (frame + sum(request.messages, count) <= limit) return 0
    const first = tailStart(request.messages, count, TAIL_SHARE * limit)
    const gain = sum(request.messages.slice(0, first), count)
    // What has just been summed up, and the task, are no gain.
    return first > 2 && gain >= LEAST_SHARE * limit ? first : 0
  }

  async tokensOf(request: WindowRequest): Promise<number> {
    const count = await tokenCount(request.model.provider)
    return total(request, count)
  }

  async fit(request: WindowRequest): Promise<readonly ModelMessage[]> {
    const { maxTokens } = this.#settings
    const room = maxTokens - this.#answerTokens(request)
    if (total(request, atMost) <= room) return request.messages
    const textTokens = await tokenCount(request.model.provider)
    const frame = frameTokens(request.system, request.tools, textTokens)
    if (room - frame < MIN_TOKENS) throw new ServiceError('context_too_small', { tokens: frame, limit: maxTokens })
    const count = await this.#countOf(request)
    const clipped = request.messages.map((message) =>
      message.role === 'tool' ? this.#clip(message, TOOL_SHARE * maxTokens, count, textTokens) : message,
    )
    return this.#cut(clipped, room - frame, count, textTokens)
  }

  /** The task, and as much of the end as there is room for. */
  #cut(
    messages: readonly ModelMessage[],
    room: number,
    count: (message: ModelMessage) => number,
    textTokens: TokenCount,
  ): readonly ModelMessage[] {
    if (sum(messages, count) <= room) return messages
    const last = messages.findLastIndex(({ role }) => role === 'user')
    const task = last === -1 ? undefined : this.#clip(messages[last] as ModelMessage, room / 2, count, textTokens)
    const note: ModelMessage = { role: 'user', text: LEFT_OUT }
    const left = room - count(note) - (task ? count(task) : 0)
    const first = Math.max(tailStart(messages, count, left), last + 1)
    const tail = messages.slice(first)
    const each = left / Math.max(tail.length, 1)
    const fits = sum(tail, count) <= left
    const end = fits ? tail : tail.map((message) => this.#clip(message, each, count, textTokens))
    const before = first > last + 1 || last > 0 ? [note] : []
    return [...before, ...(task ? [task] : []), ...end]
  }

  /** A message of at most so many tokens: its beginning and its end. */
  #clip(
    message: ModelMessage,
    tokens: number,
    count: (message: ModelMessage) => number,
    textTokens: TokenCount,
  ): ModelMessage {
    if (count(message) <= tokens) return message
    let chars = Math.floor(tokens * CHARS_PER_TOKEN)
    for (;;) {
      const half = Math.floor(chars / 2)
      const text = `${message.text.slice(0, half)}${CUT_NOTE}${half === 0 ? '' : message.text.slice(-half)}`
      if (half === 0 || textTokens(text) <= tokens) return { ...message, text }
      chars = Math.floor(chars * 0.7)
    }
  }

  #answerTokens({ maxTokens }: WindowRequest): number {
    return Math.min(maxTokens, this.#settings.maxTokens * ANSWER_SHARE)
  }

  /** Messages do not change: each is counted once. */
  async #countOf({ model }: WindowRequest): Promise<(message: ModelMessage) => number> {
    const count = await tokenCount(model.provider)
    return (message) => {
      const known = this.#counted.get(message)
      if (known !== undefined) return known
      const tokens = messageTokens(message, count)
      this.#counted.set(message, tokens)
      return tokens
    }
  }
}

const sum = (messages: readonly ModelMessage[], count: (message: ModelMessage) => number): number =>
  messages.reduce((tokens, message) => tokens + count(message), 0)

const total = ({ system, tools, messages }: WindowRequest, count: TokenCount): number =>
  frameTokens(system, tools, count) + sum(messages, (message) => messageTokens(message, count))

/** Where the longest end begins that has at most so many tokens; never between a call and its results. */
function tailStart(
  messages: readonly ModelMessage[],
  count: (message: ModelMessage) => number,
  tokens: number,
): number {
  let start = messages.length
  let left = tokens
  while (start > 0) {
    left -= count(messages[start - 1] as ModelMessage)
    if (left < 0 && start < messages.length) break
    start -= 1
  }
  while (start > 0 && messages[start]?.role === 'tool') start -= 1
  return start
}
