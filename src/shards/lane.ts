/**
 * A lane is the Redis hash tag that all keys of a shard and its sessions share, so that one script can touch them all.
 */
import type { Shard } from './shard.js'

// Part of every key ever written: changing a tag or its place strands the data. Chosen so that the slots of the tags
// fall evenly into two, three, four, eight or sixteen equal parts of the slot range.
const LANE_TAGS = ['10', '3', '61', '43', '11', '2', '60', '42', '12', '1', '63', '41', '13', '0', '62', '40'] as const

export const MAX_LANES = LANE_TAGS.length

/** The lane of a shard, 0 … `lanes` - 1. */
export const laneOf = (shard: Shard, lanes: number): number => shard % lanes

/** The text between the braces of a lane's keys. */
export function laneTag(lane: number): string {
  const tag = LANE_TAGS[lane]
  if (tag === undefined) throw new RangeError(`there is no lane ${lane}; lanes are 0 … ${MAX_LANES - 1}`)
  return tag
}

/** The tag of a shard's keys. */
export const shardTag = (shard: Shard, lanes: number): string => laneTag(laneOf(shard, lanes))
