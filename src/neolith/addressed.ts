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
    author: z.looseObject({ id: z.string().max(256), name: z.string().nullish() }).optional(),
  }),
})

export interface Addressee {
  /** Under which the orchestrator writes, and is mentioned. */
  readonly userId: string
  /** Channels between the orchestrator and one other. */
  readonly direct: ReadonlySet<string>
}

/** Undefined for events that are not for us. */
export function taskOf(event: NeolithEvent, { userId, direct }: Addressee): NewNeolithTask | undefined {
  const { channelId, messageId, type } = event
  const read = payload.safeParse(event.payload)
  if (!read.success || channelId === undefined || messageId === undefined) return undefined
  const { content, author } = read.data.message
  // What we have written ourselves comes back as an event too.
  if (author?.id === userId) return undefined
  const mention = mentionOf(userId)
  const isForUs = type === 'mention' || mention.test(content) || direct.has(channelId)
  const text = content.replace(mention, '').trim().slice(0, MAX_CONTENT_CHARS)
  if (!isForUs || text === '') return undefined
  return { channelId, messageId, content: text, author: author?.id ?? null }
}

/** Neolith writes a mention as `@` and the user's id; `@user-1` does not mention `user`. */
const mentionOf = (userId: string): RegExp =>
  new RegExp(`@${userId.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}(?![\\w-])[,:]?`, 'g')
