/**
 * Fits the worker and its surroundings to what a session needs.
 */
import type { ApprovalWatch } from './approval-watch.js'
import type { FlushInterval } from './flush-interval.js'
import { readHistory } from './history.js'
import { Reach } from './lookback.js'
import type { Projector } from './projector.js'
import type { SessionApprovals, SessionServices } from './session-services.js'
import type { StoreGuard } from './store-guard.js'
import { Suspects } from './suspects.js'
import type { TurnSlots } from './turn-slots.js'
import type { WorkerOptions } from './worker-options.js'
import { WriterLost } from './writer-lost.js'

const MS_PER_SECOND = 1_000

/** What of the worker its sessions share. */
export interface SessionFitting {
  readonly options: WorkerOptions
  readonly guard: StoreGuard
  readonly slots: TurnSlots
  readonly projector: Projector
  readonly approvals: ApprovalWatch
  readonly flushInterval: FlushInterval
}

export function servicesOf(fitting: SessionFitting): SessionServices {
  const { options, guard, slots, projector } = fitting
  const { bus, storage, member, metrics, workspaces, logger, now, gate, hooks, budgets, runtimeOf, tracing } = options
  return {
    log: guard.log,
    tracing,
    flushInterval: countedFlushes(fitting),
    loadSession: (claim, id) => guard.loader.load(claim, id),
    restoreStore: (claim, id) => guard.restoreFor(claim, id),
    slots,
    suspects: new Suspects(),
    workspaces,
    logger,
    now,
    gate,
    hooks,
    approvals: approvalsOf(fitting),
    audit: (entry) => storage.audit(entry),
    onVerdict: (decision) => metrics.verdict(decision),
    onApproval: (outcome, waitedSeconds) => metrics.approval(outcome, waitedSeconds),
    budgets,
    runtimeOf,
    beforeEffect: () => {
      // Not a failure of the task: the session waits until this worker, or the next owner, may go on.
      if (!member.mayStartEffects()) throw new WriterLost('unreachable')
    },
    onWritten: (claim, id, written) => {
      metrics.commit('ok')
      projector.add(claim, id, written)
    },
    readHistory: (id, lookback, signal) => {
      const { pageEventsBack } = storage
      const reach = new Reach(lookback, options.maxContextTokens)
      return readHistory({ log: bus.log, pageEventsBack }, id, reach, signal)
    },
    beginOnce: (call, aborted) => storage.beginOnce(call, aborted),
    quarantine: (letter) => storage.recordDeadLetter(letter),
    openMeter: () => metrics.openMeter(),
    onTurnBegan: (waitedSeconds) => metrics.turnBegan(waitedSeconds),
    onTurnEnded: (outcome, seconds) => metrics.turnEnded(outcome, seconds),
    onTakeover: (seconds) => metrics.takeover(seconds),
  }
}

function countedFlushes({ options: { metrics }, flushInterval }: SessionFitting): SessionServices['flushInterval'] {
  return {
    get ms() {
      return flushInterval.ms
    },
    kept: (lateMs) => {
      flushInterval.kept(lateMs)
      metrics.flushed(lateMs / MS_PER_SECOND)
    },
  }
}

function approvalsOf({ options, approvals }: SessionFitting): SessionApprovals {
  const { storage, logger } = options
  return {
    request: (asked, signal) => {
      const { approvalTimeoutMs: timeoutMs } = options
      return storage.requestApproval({ ...asked, timeoutMs }, signal)
    },
    decided: (approval, signal) => approvals.decided(approval, signal),
    look: (ids) => approvals.look(ids),
    cancel: async (sessionId, commandId) => {
      await storage.cancelApprovals(sessionId, commandId).catch((error: unknown) => {
        logger.warn({ err: error, sessionId }, 'what a task asked for could not be withdrawn; it expires')
      })
    },
  }
}
