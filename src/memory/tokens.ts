/**
 * How many tokens a model sees in a text.
 *
 * OpenAI's models share one vocabulary, so theirs are counted. Anthropic publishes none: its count is estimated at 3.2 UTF-8
 * bytes a token, which is a tenth too many for English and code, because a conversation that is cut too early costs less
 * than one that is refused. What is far from any limit is estimated in both cases: counting costs a millisecond for each
 * 10,000 characters.
 */
import type { Model, ModelMessage, ToolSpec } from '../models/model.js'

export type TokenCount = (text: string) => number

/** Role and frame of a message, and of a call in it. */
const MESSAGE_TOKENS = 4
const ESTIMATED_BYTES = 3.2
/** Hardly any text has more tokens than this. */
const MIN_BYTES = 1.5
/** Counted in pieces: the work on one run of the same letters grows with its square. */
const PIECE_CHARS = 4_000

export const estimated: TokenCount = (text) => Math.ceil(Buffer.byteLength(text) / ESTIMATED_BYTES)
/** Never too few. */
export const atMost: TokenCount = (text) => Math.ceil(Buffer.byteLength(text) / MIN_BYTES)

let counting: Promise<TokenCount> | undefined

/** The count for a vendor's models. Loads a vocabulary of some megabytes when it is asked for the first time. */
export async function tokenCount(provider: Model['provider']): Promise<TokenCount> {
  if (provider !== 'openai') return estimated
  counting ??= import('gpt-tokenizer/encoding/o200k_base').then(({ countTokens }) =>
    inPieces((text) => countTokens(text)),
  )
  return counting
}

const inPieces =
  (count: TokenCount): TokenCount =>
  (text) => {
    let tokens = 0
    for (let at = 0; at < text.length; at += PIECE_CHARS) tokens += count(text.slice(at, at + PIECE_CHARS))
    return tokens
  }

export function messageTokens(message: ModelMessage, count: TokenCount): number {
  const calls = message.role === 'assistant' ? (message.toolCalls ?? []) : []
  const asked = calls.reduce((sum, { name, input }) => sum + MESSAGE_TOKENS + count(name + JSON.stringify(input)), 0)
  return MESSAGE_TOKENS + count(message.text) + asked
}

/** What goes along with every call. */
export const frameTokens = (system: string, tools: readonly ToolSpec[], count: TokenCount): number =>
  MESSAGE_TOKENS + count(system) + (tools.length === 0 ? 0 : count(JSON.stringify(tools)))
