/**
 * Removes what nobody needs any more, a batch at a time, so that no statement holds up a table for long.
 */
import type { BudgetLedger } from '../../storage/budget-ledger.js'
import type { Retention } from '../../storage/retention.js'
import type { Workspaces } from '../../storage/workspaces.js'
import type { Job } from '../jobs.js'

const EVERY_MS = 3_600_000
/** Rows of one statement: a few tens of milliseconds. */
const BATCH = 1_000
/** Each batch leaves a row that tells of it. */
const AUDIT_BATCH = 10_000
/** Contents are removed under a lock that savers wait for. */
const CONTENTS_BATCH = 50
/** Of each kind in one run; the next run goes on. */
const MAX_BATCHES = 500
/** Nodes that ended and requests that were answered interest people for a while, whatever the setting says. */
const RECORDS_MS = 7 * 86_400_000
/** Reports look back so far, and no budget does: its longest period is a month. */
const LEDGER_MS = 90 * 86_400_000

export interface RetentionDependencies {
  readonly retention: Pick<
    Retention,
    'purgeSessions' | 'purgeDeadLetters' | 'purgeToolIntents' | 'purgeNodes' | 'purgeRequests' | 'purgeAudit'
  >
  readonly workspaces: Pick<Workspaces, 'sweepContents'>
  readonly ledger: Pick<BudgetLedger, 'purge'>
  /** Age of what is removed; undefined keeps sessions, dead letters and notes of tool calls for ever. */
  readonly olderThanMs: number | undefined
  /** The same for the audit log. */
  readonly auditOlderThanMs: number | undefined
}

export function retentionJob(dependencies: RetentionDependencies): Job {
  const { retention, workspaces, ledger, olderThanMs, auditOlderThanMs } = dependencies
  return {
    name: 'retention',
    everyMs: EVERY_MS,
    run: async (signal) => {
      if (olderThanMs !== undefined) {
        await inBatches(signal, BATCH, (limit) => retention.purgeSessions(olderThanMs, limit))
        await inBatches(signal, BATCH, (limit) => retention.purgeDeadLetters(olderThanMs, limit))
        await inBatches(signal, BATCH, (limit) => retention.purgeToolIntents(olderThanMs, limit))
      }
      if (auditOlderThanMs !== undefined) {
        await inBatches(signal, AUDIT_BATCH, (limit) => retention.purgeAudit(auditOlderThanMs, limit))
      }
      await inBatches(signal, BATCH, (limit) => retention.purgeNodes(RECORDS_MS, limit))
      await inBatches(signal, BATCH, (limit) => retention.purgeRequests(RECORDS_MS, limit))
      await inBatches(signal, BATCH, (limit) => ledger.purge(LEDGER_MS, limit))
      await inBatches(signal, CONTENTS_BATCH, (limit) => workspaces.sweepContents(limit))
    },
  }
}

/** Until a batch finds less than it may take. */
async function inBatches(signal: AbortSignal, limit: number, purge: (limit: number) => Promise<number>): Promise<void> {
  for (let batches = 0; batches < MAX_BATCHES && !signal.aborted; batches++) if ((await purge(limit)) < limit) return
}
