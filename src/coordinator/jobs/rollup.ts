/**
 * Adds up what turns cost, by the hour in which they ended.
 */
import type { Usage } from '../../storage/usage.js'
import type { Job } from '../jobs.js'

const EVERY_MS = 600_000
/** One statement adds up so much. */
const PIECE_MS = 24 * 3_600_000
/** Of one run; a cluster that is older than that is caught up in several. */
const MAX_PIECES = 60
/** Hours that are added up again: a worker may project the end of a turn late, after an outage. */
const LATE_MS = 6 * 3_600_000

export const rollupJob = (usage: Pick<Usage, 'rollUp' | 'nextFrom'>): Job => ({
  name: 'rollup',
  everyMs: EVERY_MS,
  run: async (signal) => {
    let from = await usage.nextFrom(LATE_MS)
    for (let pieces = 0; from && pieces < MAX_PIECES && !signal.aborted; pieces++) {
      const to = new Date(from.getTime() + PIECE_MS)
      from = (await usage.rollUp(from, to)) ? to : undefined
    }
  },
})
