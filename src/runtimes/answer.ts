/**
 * One message of the model, written to its end across cut streams and changes of owner: what has been shown is never
 * taken back, the rest is asked for.
 */
import { backoffMs, pause, type RetryPolicy } from '../models/backoff.js'
import {
  type Model,
  type ModelChunk,
  ModelError,
  type ModelMessage,
  type ToolRequest,
  type ToolSpec,
  type Usage,
} from '../models/model.js'
import { continuing } from './prompt.js'
import { promptSize, textSize } from './prompt-size.js'
import type { Allowance, PlannedCall, Turn } from './runtime.js'

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

export interface Begun {
  /** Text that an earlier attempt left. */
  readonly shown: string
  /** For the first call. */
  readonly allowance: Allowance
  readonly backoff: typeof CONTINUATION_BACKOFF | undefined
}

/** What the call for the rest of an answer may use, after `shown`. */
export const plannedCall = (model: Model, conversation: Conversation, shown: string): PlannedCall => ({
  model: model.name,
  promptTokens: promptSize({ ...conversation, messages: continuing(conversation.messages, shown) }),
  maxTokens: conversation.maxTokens,
})

/**
 * Streams the answer to `conversation` into the turn's journal, after the part that was shown already.
 * Throws `ModelError` when the vendor fails for good.
 */
export async function completeAnswer(
  turn: Turn,
  model: Model,
  conversation: Conversation,
  { shown, allowance: first, backoff = CONTINUATION_BACKOFF }: Begun,
): Promise<Answer> {
  let text = shown
  let allowance = first
  const show = (more: string) => {
    text += more
    turn.journal.text(more)
  }
  for (let cuts = 0; ; cuts++) {
    try {
      const end = await streamOnce({ turn, model, conversation, allowance }, text, show)
      return { ...end, text }
    } catch (thrown) {
      const isCut = thrown instanceof ModelError && thrown.kind === 'cut'
      if (!isCut || cuts === MAX_CONTINUATIONS) throw thrown
      await pause(backoffMs(cuts + 1, backoff), turn.signal)
      allowance = await turn.reserve(plannedCall(model, conversation, text))
    }
  }
}

interface Call {
  readonly turn: Turn
  readonly model: Model
  readonly conversation: Conversation
  readonly allowance: Allowance
}

async function streamOnce(
  { turn, model, conversation, allowance }: Call,
  shown: string,
  show: (text: string) => void,
): Promise<Extract<ModelChunk, { type: 'end' }>> {
  const messages = continuing(conversation.messages, shown)
  let came = ''
  try {
    const { maxTokens } = allowance
    const beforeAttempt = () => turn.beforeEffect()
    const { signal, trace } = turn
    const chunks = model.stream({ ...conversation, messages, maxTokens, signal, trace, beforeAttempt })
    for await (const chunk of chunks) {
      if (chunk.type === 'end') {
        await allowance.settle(chunk.usage, namesOf(chunk.toolCalls))
        return chunk
      }
      came += chunk.text
      show(chunk.text)
    }
  } catch (thrown) {
    await allowance.settle(usedBy(thrown, plannedCall(model, conversation, shown), came))
    throw thrown
  }
  throw new Error(`${model.provider} stream ended without its end chunk`)
}

const namesOf = (calls: readonly ToolRequest[]): string[] => calls.map(({ name }) => name)

/** A call that the vendor refused has used nothing; one that was cut or given up was read, and answered so far. */
function usedBy(failure: unknown, { promptTokens }: PlannedCall, came: string): Usage {
  if (failure instanceof ModelError && failure.kind !== 'cut') return { promptTokens: 0, completionTokens: 0 }
  return { promptTokens, completionTokens: textSize(came) }
}
