/**
 * Which of Neolith's events ask this service for something: messages that mention its orchestrator, and all that are written
 * to it directly.
 */
import { z } from 'zod'
import type { NewNeolithTask } from '../storage/neolith-tasks.js'
import type { NeolithEvent } from './types.js'

/** More is no message of a person; sessions take twice as much. */
const MAX_CONTENT_CHARS = 100_000

const payload = z.looseObject({
  message: z.looseObject({
    content: z.string(),
    author: z
      .looseObject({ id: z.string().max(256), name: z.string().nullish(), isOrchestrator: z.boolean().nullish() })
      .optional(),
  }),
})

export interface Addressee {
  /** Under which the orchestrator writes, and is mentioned. */
  readonly userId: string
  /** Channels between the orchestrator and one other. */
  readonly direct: ReadonlySet<string>
}

/** What somebody has written where the orchestrator can read it. */
export interface WrittenMessage extends NewNeolithTask {
  /** It mentions the orchestrator, or is written to it alone. */
  readonly isForUs: boolean
  readonly byOrchestrator: boolean
}

/** Undefined for events that are not for us. */
export function taskOf(event: NeolithEvent, addressee: Addressee): NewNeolithTask | undefined {
  const message = messageOf(event, addressee)
  return message?.isForUs ? taskIn(message) : undefined
}

export const taskIn = ({ channelId, messageId, content, author }: WrittenMessage): NewNeolithTask => {
  return { channelId, messageId, content, author }
}

/** The message of an event, without the mention; undefined where there is none, or nothing is in it. */
export function messageOf(event: NeolithEvent, { userId, direct }: Addressee): WrittenMessage | undefined {
  const { channelId, messageId, type } = event
  const read = payload.safeParse(event.payload)
  if (!read.success || channelId === undefined || messageId === undefined) return undefined
  const { content, author } = read.data.message
  // What we have written ourselves comes back as an event too.
  if (author?.id === userId) return undefined
  const mention = mentionOf(userId)
  const isForUs = type === 'mention' || mention.test(content) || direct.has(channelId)
  const text = content.replace(mention, '').trim().slice(0, MAX_CONTENT_CHARS)
  if (text === '') return undefined
  const byOrchestrator = author?.isOrchestrator === true
  return { channelId, messageId, content: text, author: author?.id ?? null, isForUs, byOrchestrator }
}

/** Neolith writes a mention as `@` and the user's id; `@user-1` does not mention `user`. */
const mentionOf = (userId: string): RegExp =>
  new RegExp(`@${userId.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}(?![\\w-])[,:]?`, 'g')
