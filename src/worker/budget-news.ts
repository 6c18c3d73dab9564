/**
 * Word of a budget to the sessions that it concerns: those in the memory of this worker, in which something has happened
 * within the last minute. Others read in their next task's failure, if it comes to that, what became of the budget.
 */
import type { BudgetAlert } from '../protocol/events.js'
import { isTerminal } from '../protocol/session.js'
import type { SessionWriter } from './session-writer.js'

/** An alert of a tenant with more sessions than these is told by metrics and webhook. */
const MAX_TOLD = 1_000

export interface ToldSession {
  readonly id: string
  readonly tenant: string
  readonly writer: Pick<SessionWriter, 'status' | 'session' | 'base' | 'record'>
}

/** Records the alert in each of the sessions; one that is lost to this worker does not hear of it. */
export function tellBudget(sessions: Iterable<ToldSession>, tenant: string, alert: BudgetAlert): void {
  let told = 0
  for (const session of sessions) {
    const { writer } = session
    if (session.tenant !== tenant || !concerns(alert, session) || isTerminal(writer.status)) continue
    if (++told > MAX_TOLD) return
    writer.record([{ type: 'budget_alert', ...writer.base(undefined), data: alert }]).catch(() => undefined)
  }
}

function concerns({ scope, id }: BudgetAlert, { id: sessionId, writer }: ToldSession): boolean {
  const orchestratorId = writer.session?.orchestratorId
  if (orchestratorId === undefined) return false
  if (scope === 'session') return id === sessionId
  return scope === 'tenant' || id === orchestratorId
}
