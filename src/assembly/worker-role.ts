/**
 * The worker of a process: fitted together, and started.
 */
import type { BudgetDesk } from '../budget/budget-desk.js'
import type { LiveNode, Role } from '../cluster/cluster.js'
import type { NodeId } from '../protocol/ids.js'
import { Worker } from '../worker/worker.js'
import { openBudgets, openPrices } from './budget-parts.js'
import { workerLimits } from './charter-parts.js'
import type { NodeParts } from './node-parts.js'
import { openRuntimes } from './runtime-parts.js'
import { workerStorage, workspaceKeeper } from './worker-parts.js'

export interface StartedWorker {
  readonly worker: Worker
  /** The budgets of its sessions, for people and programs. */
  readonly budgets: BudgetDesk
}

export async function startWorker(parts: NodeParts): Promise<StartedWorker> {
  const { foundation, planes, metrics, tracing } = parts
  const { config, node, log, lifecycle } = foundation
  const { database, audit, bus, member, view, control, cluster } = planes
  const settings = foundation.settings.view
  const charter = await parts.charter()
  const prices = openPrices(foundation)
  const { budgets, desk } = await openBudgets(foundation, {
    ...{ database, view, control, prices, charter, metrics: metrics.budgets },
    tell: (tenant, alert) => worker.tellBudget(tenant, alert),
  })
  const { memory } = await parts.memory()
  const { runtimes, hooks } = await openRuntimes({
    ...{ prices, config, settings, member, metrics, lifecycle, database, log, memory, charter },
  })
  const worker = new Worker({
    bus,
    member,
    control,
    hasSuccessor: () => canTakeOver(view.nodes(), node),
    migrationTimeoutMs: config.cluster.migrationTimeoutMs,
    drainTimeoutMs: config.worker.drainTimeoutMs,
    reportShards: cluster && ((report) => cluster.shardLoads.publish(node, report)),
    lastBeatOf: async (id) => cluster?.beats.lastOf(id),
    storage: workerStorage(database, node, audit, config.memory.episodicDays),
    workspaces: workspaceKeeper(config, database),
    gate: charter.gate,
    hooks,
    get approvalTimeoutMs() {
      return settings.charter.approvalTimeoutMs
    },
    budgets,
    runtimeOf: (type) => runtimes.of(type),
    ...workerLimits(config, charter.limits),
    get maxContextTokens() {
      return settings.memory.maxContextTokens
    },
    sessionTimeoutMs: config.session.timeoutMs,
    hibernateAfterMs: config.session.hibernateAfterMs,
    logger: log,
    metrics: metrics.worker,
    tracing,
    now: () => new Date(),
  })
  const limitTurns = () => worker.limitTurns(workerLimits(settings, charter.limits))
  charter.onChanged(limitTurns)
  foundation.settings.onChanged(limitTurns)
  await worker.start()
  const withinMs = config.cluster.migrationTimeoutMs + config.worker.drainTimeoutMs + config.server.shutdownTimeoutMs
  lifecycle.started('worker', () => worker.stop(), withinMs)
  return { worker, budgets: desk }
}

/** Whether others could have the shards of a node that stops: a worker that stays, and a coordinator that moves them. */
function canTakeOver(nodes: readonly LiveNode[], stopping: NodeId): boolean {
  const others = nodes.filter(({ id, status }) => id !== stopping && status === 'live')
  const has = (wanted: Role) => others.some(({ role }) => role === wanted || role === 'all')
  return has('worker') && has('coordinator')
}
