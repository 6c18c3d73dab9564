/**
 * A shard is a fixed slice of all sessions: the unit that workers own and that moves between them.
 */
import { type SessionId, shardOfSession } from '../protocol/ids.js'
import { keyHash } from './key-hash.js'

/** 0 … shard count - 1. */
export type Shard = number

/** The shard that a session was placed in at spawn and never leaves; undefined when the text is no session id. */
export const shardOf = (id: SessionId): Shard | undefined => shardOfSession(id)

/** The shard of a key that has none by itself, such as a spawn key: the same on every node for the same `count`. */
export const shardOfKey = (key: string, count: number): Shard => keyHash(key) % count

export const allShards = (count: number): Shard[] => Array.from({ length: count }, (_unused, shard) => shard)
