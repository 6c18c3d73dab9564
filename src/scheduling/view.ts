/**
 * A scheduled task as clients see it.
 */
import { PRIORITY_ORDER, type ScheduledTask, type WaitingFor } from '../protocol/schedule.js'
import type { ListedRow } from '../storage/scheduled-tasks.js'
import type { Dependency } from '../storage/task-dependencies.js'
import { descriptionOf, requestOf } from './request.js'

/** A list shows which task it is; the whole text is the client's own. */
export const MAX_DESCRIPTION_CHARS = 200

export function scheduledTaskOf(row: ListedRow, pending: readonly Dependency[]): ScheduledTask {
  const { id, sessionId, taskId, rank, cron, timezone, status, position, runs, missed, endCode, endError } = row
  const waits = status === 'waiting'
  return {
    scheduleId: id,
    taskId,
    sessionId,
    description: descriptionOf(requestOf(row)).slice(0, MAX_DESCRIPTION_CHARS),
    priority: PRIORITY_ORDER[rank] ?? 'medium',
    state: status,
    waitingFor: waits ? waitingFor(row, pending) : [],
    since: (row.endedAt ?? row.createdAt).toISOString(),
    position,
    nextRunAt: waits ? row.dueAt.toISOString() : null,
    ...(cron !== null && timezone !== null && { repeat: { cron, timezone } }),
    runs,
    missed,
    ...(endCode !== null && { code: endCode }),
    ...(endError !== null && { error: endError }),
  }
}

function waitingFor({ dueAt, now }: ListedRow, pending: readonly Dependency[]): readonly WaitingFor[] {
  const tasks = pending.map(({ taskId, sessionId, scheduleId }) => ({
    kind: 'task' as const,
    taskId,
    ...(sessionId !== null && { sessionId }),
    ...(scheduleId !== null && { scheduleId }),
  }))
  return [...(dueAt > now ? [{ kind: 'time' as const, at: dueAt.toISOString() }] : []), ...tasks]
}
