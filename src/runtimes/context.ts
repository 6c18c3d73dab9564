/**
 * A conversation that fills its window is summed up by the model.
 *
 *   messages ──▶ due? ──▶ summary by the model ──▶ recorded in the journal ──▶ summary + the rest ──▶ fit ──▶ model
 */
import { type Model, ModelError, type ModelMessage, type Usage } from '../models/model.js'
import { compactedMessages } from './compacted.js'
import { foundFacts, SUMMARY_PROMPT, transcriptOf } from './compaction-prompt.js'
import type { ContextRequest, ContextWindow, Fact } from './context-window.js'
import { promptSize } from './prompt-size.js'
import type { Turn } from './runtime.js'

/** About 1,500 words. */
const MAX_SUMMARY_TOKENS = 2_048

export interface Summariser {
  readonly model: Model
  readonly costOf: (model: string, usage: Usage) => number
  readonly window: ContextWindow
}

/**
 * Sums up the beginning of a conversation that fills its window, and records that. Returns the conversation as it stands
 * then. A crash before the record repeats the model's call and nothing else. When the model gives no summary the
 * conversation stays as it is, and is cut to what fits.
 */
export async function compact(
  turn: Turn,
  request: ContextRequest,
  { model, costOf, window }: Summariser,
): Promise<readonly ModelMessage[]> {
  const messages = await window.due(request)
  if (messages === 0) return request.messages
  const startedAt = performance.now()
  const written = await write(turn, model, transcriptOf(request.messages.slice(0, messages), window.summedChars))
  if (written === undefined) return request.messages
  const { summary, facts } = written
  const shorter = compactedMessages(request.messages, { messages, summary })
  await turn.journal.compacted({
    ...{ messages, kept: request.messages.length - messages, summary, facts, model: model.name, usage: written.usage },
    cost: costOf(model.name, written.usage),
    durationMs: Math.round(performance.now() - startedAt),
    tokensBefore: await window.tokensOf(request),
    tokensAfter: await window.tokensOf({ ...request, messages: shorter }),
  })
  return shorter
}

interface Written {
  readonly summary: string
  readonly facts: readonly Fact[]
  readonly usage: Usage
}

async function write(turn: Turn, model: Model, transcript: string): Promise<Written | undefined> {
  const conversation = {
    system: SUMMARY_PROMPT,
    messages: [{ role: 'user' as const, text: transcript }],
    tools: [],
    maxTokens: MAX_SUMMARY_TOKENS,
  }
  const planned = {
    model: model.name,
    promptTokens: promptSize(conversation),
    maxTokens: MAX_SUMMARY_TOKENS,
    lane: 'summary',
  }
  const allowance = await turn.reserve(planned)
  const { maxTokens } = allowance
  let text = ''
  let usage: Usage = { promptTokens: 0, completionTokens: 0 }
  try {
    const { signal, trace } = turn
    const beforeAttempt = () => turn.beforeEffect()
    for await (const chunk of model.stream({ ...conversation, maxTokens, signal, trace, beforeAttempt })) {
      if (chunk.type === 'text') text += chunk.text
      else usage = chunk.usage
    }
  } catch (thrown) {
    if (!(thrown instanceof ModelError)) throw thrown
    // Without a summary the conversation is cut instead; a vendor that is down is told by the call that follows.
    return undefined
  } finally {
    await allowance.settle(usage)
  }
  const { summary, facts } = foundFacts(text)
  return summary === '' ? undefined : { summary, facts, usage }
}
