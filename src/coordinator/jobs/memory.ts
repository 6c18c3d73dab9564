/**
 * What is done to memory in the background: what is over is forgotten, what is too much too, and items without a vector get
 * theirs.
 */
import type { MemoryTier } from '../../storage/schema.js'
import type { Job } from '../jobs.js'

const FORGET_EVERY_MS = 600_000
const EMBED_EVERY_MS = 10_000
/** Rows of one statement: a few tens of milliseconds. */
const BATCH = 1_000
/** Of each kind in one run; the next run goes on. */
const MAX_BATCHES = 500

export interface MemoryPurges {
  purgeExpired(limit: number): Promise<number>
  purgeFormer(olderThanMs: number, limit: number): Promise<number>
  purgeBeyond(tier: MemoryTier, maxBytes: number, limit: number): Promise<number>
}

export interface ForgetParts {
  readonly retention: MemoryPurges
  readonly vectors: { purgeOrphans(limit: number): Promise<number> } | undefined
  readonly tierBytes: Readonly<Record<MemoryTier, number>>
  readonly formerLifeMs: number
  /** Looks at how much there is. */
  readonly measure: () => Promise<void>
}

export const forgetJob = ({ retention, vectors, tierBytes, formerLifeMs, measure }: ForgetParts): Job => ({
  name: 'forget',
  everyMs: FORGET_EVERY_MS,
  run: async (signal) => {
    await inBatches(signal, (limit) => retention.purgeExpired(limit))
    await inBatches(signal, (limit) => retention.purgeFormer(formerLifeMs, limit))
    for (const [tier, bytes] of Object.entries(tierBytes)) {
      await inBatches(signal, (limit) => retention.purgeBeyond(tier as MemoryTier, bytes, limit))
    }
    if (vectors) await inBatches(signal, (limit) => vectors.purgeOrphans(limit))
    if (!signal.aborted) await measure()
  },
})

/** Until a batch finds nothing. */
async function inBatches(signal: AbortSignal, purge: (limit: number) => Promise<number>): Promise<void> {
  for (let batches = 0; batches < MAX_BATCHES && !signal.aborted; batches++) if ((await purge(BATCH)) === 0) return
}

/** `embedSome` returns how many it made; 0 when there is nothing to do. */
export const embedJob = (embedSome: (signal: AbortSignal) => Promise<number>): Job => ({
  name: 'embed',
  everyMs: EMBED_EVERY_MS,
  run: async (signal) => {
    for (let batches = 0; batches < MAX_BATCHES && !signal.aborted; batches++)
      if ((await embedSome(signal)) === 0) return
  },
})
