/**
 * What makes two items of memory the same one, as a hash. Pure.
 */
import { hashOf } from './memory-text.js'
import type { MemoryTier } from './schema.js'

/** How an item names another one as its source, before the other's id; steps of sessions begin otherwise. */
export const ITEM_REF = 'memory:'

interface Place {
  readonly tier: MemoryTier
  readonly namespace: string
  readonly key: string
}

export const placeIdentity = ({ tier, namespace, key }: Place): string => hashOf('place', tier, namespace, key)

/** A place where an item has one, else its own text: the same note twice is one note. */
export const memoryIdentity = (
  item: Omit<Place, 'key'> & { readonly key?: string | undefined; readonly content: string },
): string =>
  item.key === undefined
    ? hashOf('text', item.tier, item.namespace, item.content)
    : placeIdentity({ ...item, key: item.key })

/** What an event said: it happened once. */
export const eventIdentity = (sessionId: string, epoch: number, seq: number): string =>
  hashOf('event', sessionId, String(epoch), String(seq))
