/**
 * How much is remembered, and for how long.
 */
import type { MemoryTier } from '../storage/schema.js'

export const MAX_CONTENT_CHARS = 16_000
export const MAX_NAME_CHARS = 200
export const MAX_RESULTS = 50

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const MB = 1024 * 1024

/** How long a note lives whose writer says nothing about it; undefined is for good. */
export const TIER_LIFE_MS: Readonly<Record<MemoryTier, number | undefined>> = {
  scratchpad: HOUR_MS,
  episodic: 7 * DAY_MS,
  semantic: undefined,
}

/** What one owner may have of each tier; beyond it the oldest are forgotten, former facts first. */
export const TIER_BYTES: Readonly<Record<MemoryTier, number>> = {
  scratchpad: 50 * MB,
  episodic: 500 * MB,
  semantic: 2048 * MB,
}

/** A fact that something else took the place of is kept this long, to tell what was true when. */
export const FORMER_LIFE_MS = 365 * DAY_MS
