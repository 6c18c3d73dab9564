/**
 * Questions that an edge answers itself, from Redis, Postgres and its picture of the cluster.
 */
import type { ClusterView } from '../cluster/cluster.js'
import type { ListedApproval } from '../protocol/approvals.js'
import type { RequestId } from '../protocol/commands.js'
import { ServiceError } from '../protocol/errors.js'
import { seesTenant } from '../protocol/permissions.js'
import type { DaemonStatus, Reply } from '../protocol/replies.js'
import type { ApprovalRow } from '../storage/approvals.js'
import { CpuMeter } from '../telemetry/cpu-meter.js'
import type { Principal } from './auth.js'
import type { StatusSource } from './dependencies.js'
import type { Message } from './message.js'
import type { ApprovalDecisions, SessionRows } from './rows.js'
import { type SessionDirectory, sessionOfSummary } from './session-directory.js'
import { isWorker } from './session-placement.js'
import type { EdgeSettings } from './settings.js'

/** Sessions or approvals in one answer; the rest comes with `cursor`. */
const DEFAULT_PAGE = 100

export interface QueryDependencies {
  readonly settings: EdgeSettings
  readonly sessions: Pick<SessionRows, 'listByTenant'>
  readonly approvals: Pick<ApprovalDecisions, 'list'>
  readonly directory: SessionDirectory
  readonly view: ClusterView
  readonly status: StatusSource
}

export class Queries {
  readonly #deps: QueryDependencies
  readonly #startedAt = performance.now()
  readonly #cpu = new CpuMeter()

  constructor(deps: QueryDependencies) {
    this.#deps = deps
  }

  /** @throws ServiceError `session_not_found`, also for a session that is not there for this principal. */
  async sessionStatus(sessionId: string, principal: Principal, requestId: RequestId | undefined): Promise<Reply> {
    await this.#deps.directory.checkAccess(sessionId, principal)
    const session = await this.#deps.directory.snapshot(sessionId)
    if (!session) throw new ServiceError('session_not_found', { sessionId })
    return { type: 'session_status_update', sessionId, session, ...echo(requestId) }
  }

  async listSessions(
    message: Message<'list_sessions'>,
    principal: Principal,
    requestId: RequestId | undefined,
  ): Promise<Reply> {
    const { limit = DEFAULT_PAGE, sessionType: type, ...filter } = message.payload ?? {}
    const owner = seesTenant(principal.role) ? undefined : principal.subject
    const page = await this.#deps.sessions.listByTenant(principal.tenant, { ...filter, type, limit, owner })
    const sessions = page.sessions.map(sessionOfSummary)
    return {
      type: 'sessions_list',
      sessions,
      ...(page.cursor !== undefined && { cursor: page.cursor }),
      ...echo(requestId),
    }
  }

  /** @throws ServiceError `session_not_found` when one is named that is not there for this principal */
  async listApprovals(
    message: Message<'list_approvals'>,
    principal: Principal,
    requestId: RequestId | undefined,
  ): Promise<Reply> {
    const { sessionId, approvalId: id, limit = DEFAULT_PAGE, cursor: before } = message.payload ?? {}
    const state = id === undefined ? (message.payload?.state ?? 'pending') : 'all'
    if (sessionId !== undefined) await this.#deps.directory.checkAccess(sessionId, principal)
    const owner = seesTenant(principal.role) ? undefined : principal.subject
    // One more than asked for tells whether there is a next page.
    const query = { state, sessionId, id, owner, before, limit: limit + 1 }
    const found = await this.#deps.approvals.list(principal.tenant, query)
    const approvals = found.slice(0, limit).map(listedApproval)
    const cursor = found.length > limit ? approvals.at(-1)?.approvalId : undefined
    return { type: 'approvals_list', approvals, ...(cursor !== undefined && { cursor }), ...echo(requestId) }
  }

  async daemonStatus(requestId: RequestId | undefined): Promise<Reply> {
    const [metrics, subsystems] = await Promise.all([this.#deps.status.totals(), this.#deps.status.subsystems()])
    const loads = this.#deps.view
      .nodes()
      .filter(isWorker)
      .map(({ load }) => load)
    const ill = Object.values(subsystems).some(({ status }) => status !== 'running')
    const status: DaemonStatus = {
      name: this.#deps.settings.name,
      version: this.#deps.settings.version,
      status: ill ? 'degraded' : 'running',
      uptime: Math.round(performance.now() - this.#startedAt),
      activeSessions: loads.reduce((sum, load) => sum + load.busy, 0),
      maxSessions: loads.reduce((sum, load) => sum + load.capacity, 0),
      queuedTasks: loads.reduce((sum, load) => sum + load.queued, 0),
      memoryUsageMB: Math.round(process.memoryUsage.rss() / 1024 / 1024),
      cpuUsagePercent: this.#cpu.percent(),
      metrics,
      subsystems,
    }
    return { type: 'daemon_status_response', status, ...echo(requestId) }
  }
}

/** The client's id in the answer, where it gave one. */
export const echo = (requestId: RequestId | undefined): { requestId?: RequestId } =>
  requestId === undefined ? {} : { requestId }

function listedApproval(row: ApprovalRow): ListedApproval {
  const { requestedAt, expiresAt, decidedAt, decidedBy, comment, ...rest } = row
  return {
    ...rest,
    requestedAt: requestedAt.toISOString(),
    expiresAt: expiresAt.toISOString(),
    ...(decidedAt !== null && { decidedAt: decidedAt.toISOString() }),
    ...(decidedBy !== null && { decidedBy }),
    ...(comment !== null && { comment }),
  }
}
