/**
 * What a conversation becomes when its beginning is summed up: the same for whoever runs it and whoever reads it back. Pure.
 */
import type { ModelMessage } from '../models/model.js'
import type { Compaction } from './context-window.js'
import { summaryOf } from './prompt.js'

/**
 * A conversation whose first messages are summed up. The task that is being worked on is never summed up: its message
 * stays, after the summary. Every owner of a session comes to the same messages by this.
 */
export function compactedMessages(
  messages: readonly ModelMessage[],
  compaction: Pick<Compaction, 'messages' | 'summary'>,
): readonly ModelMessage[] {
  return compactedItems(messages, compaction, (message) => message, {
    role: 'user',
    text: summaryOf(compaction.summary),
  })
}

/** The same for items that each hold a message. */
export function compactedItems<T>(
  items: readonly T[],
  { messages }: Pick<Compaction, 'messages'>,
  messageOf: (item: T) => ModelMessage,
  summary: T,
): readonly T[] {
  const task = items.findLastIndex((item) => messageOf(item).role === 'user')
  const kept = task >= 0 && task < messages ? items.slice(task, task + 1) : []
  return [summary, ...kept, ...items.slice(messages)]
}
