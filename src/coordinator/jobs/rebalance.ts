/**
 * Reminds the leader to look at the load. What it then does is its own: a queue that stands still costs only this look.
 */
import type { Job } from '../jobs.js'

export const rebalanceJob = (everyMs: number, requestRound: () => void): Job => ({
  name: 'rebalance',
  everyMs,
  run: async () => requestRound(),
})
