/**
 * One message of the model, written to its end across cut streams and changes of owner: what has been shown is never
 * taken back, the rest is asked for.
 */

import { backoffMs, pause, type RetryPolicy } from '../models/backoff.js'
import { type Model, type ModelChunk, ModelError, type ModelMessage, type ToolSpec } from '../models/model.js'
import { continuing } from './prompt.js'
import type { Turn } from './runtime.js'

/** Streams that are cut again and again will not get better by asking a fourth time. */
const MAX_CONTINUATIONS = 3

export interface Conversation {
  readonly system: string
  readonly messages: readonly ModelMessage[]
  readonly tools: readonly ToolSpec[]
  readonly maxTokens: number
}

/** Waits before a continuation: short, because somebody is reading. */
export const CONTINUATION_BACKOFF: Pick<RetryPolicy, 'baseMs' | 'capMs'> = { baseMs: 250, capMs: 4_000 }

/** A finished message: the whole text, with what was shown before. */
export type Answer = Omit<Extract<ModelChunk, { type: 'end' }>, 'type'> & { readonly text: string }

/**
 * Streams the answer to `conversation` into the turn's journal, after the `shown` part that an earlier attempt left.
 * Throws `ModelError` when the vendor fails for good.
 */
export async function completeAnswer(
  turn: Turn,
  model: Model,
  conversation: Conversation,
  shown: string,
  backoff = CONTINUATION_BACKOFF,
): Promise<Answer> {
  let text = shown
  const show = (more: string) => {
    text += more
    turn.journal.text(more)
  }
  for (let cuts = 0; ; cuts++) {
    try {
      const end = await streamOnce(turn, model, conversation, text, show)
      return { ...end, text }
    } catch (thrown) {
      const isCut = thrown instanceof ModelError && thrown.kind === 'cut'
      if (!isCut || cuts === MAX_CONTINUATIONS) throw thrown
      await pause(backoffMs(cuts + 1, backoff), turn.signal)
    }
  }
}

async function streamOnce(
  turn: Turn,
  model: Model,
  conversation: Conversation,
  shown: string,
  show: (text: string) => void,
): Promise<Extract<ModelChunk, { type: 'end' }>> {
  const chunks = model.stream({
    ...conversation,
    messages: continuing(conversation.messages, shown),
    signal: turn.signal,
    beforeAttempt: () => turn.beforeEffect(),
  })
  for await (const chunk of chunks) {
    if (chunk.type === 'end') return chunk
    show(chunk.text)
  }
  throw new Error(`${model.provider} stream ended without its end chunk`)
}
