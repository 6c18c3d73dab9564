/**
 * A worker of a test: everything of the role is real but its membership, which the test plays.
 */
import { workerStorage } from '../../src/assembly/worker-parts.js'
import { unlimitedBudgets } from '../../src/budget/budgets.js'
import type { Bus } from '../../src/bus/bus.js'
import type { ControlChannel, Member } from '../../src/cluster/cluster.js'
import type { NodeId } from '../../src/protocol/ids.js'
import { AuditLog } from '../../src/storage/audit-log.js'
import { AuditTrail } from '../../src/storage/audit-trail.js'
import type { Database } from '../../src/storage/database.js'
import { Workspaces } from '../../src/storage/workspaces.js'
import { silentLog } from '../../src/telemetry/log.js'
import { createMetrics } from '../../src/telemetry/metrics.js'
import { Worker } from '../../src/worker/worker.js'
import type { WorkerOptions } from '../../src/worker/worker-options.js'
import { WorkspaceKeeper } from '../../src/worker/workspace-keeper.js'

const NEVER_MS = 3_600_000

export interface TestWorkerParts {
  readonly id: NodeId
  readonly bus: Bus
  readonly control: ControlChannel | undefined
  readonly database: Database
  /** Folder of its sessions' directories. */
  readonly root: string
  readonly mayStartEffects: () => boolean
  readonly runtimeOf: WorkerOptions['runtimeOf']
  /** What a test wants otherwise. */
  readonly options?: Partial<WorkerOptions>
}

export function testWorker({ id, bus, control, database, root, runtimeOf, mayStartEffects, options }: TestWorkerParts) {
  return new Worker({
    bus,
    member: member(id, mayStartEffects),
    control,
    hasSuccessor: () => false,
    migrationTimeoutMs: 0,
    drainTimeoutMs: 0,
    reportShards: undefined,
    lastBeatOf: async () => undefined,
    storage: workerStorage(database, id, new AuditTrail({ log: new AuditLog(database), trace: silentLog })),
    workspaces: new WorkspaceKeeper(root, workspaceStore(database), false),
    approvalTimeoutMs: NEVER_MS,
    gate: { judge: () => ({ decision: 'allow' }) },
    budgets: unlimitedBudgets,
    runtimeOf,
    sessionTimeoutMs: NEVER_MS,
    maxSessions: 100,
    maxContextTokens: 128_000,
    hibernateAfterMs: NEVER_MS,
    logger: silentLog,
    metrics: createMetrics().worker,
    now: () => new Date(),
    ...options,
  })
}

function workspaceStore(database: Database) {
  const workspaces = new Workspaces(database)
  return {
    save: workspaces.save.bind(workspaces),
    load: workspaces.load.bind(workspaces),
    hashes: workspaces.listHashes.bind(workspaces),
  }
}

const member = (id: NodeId, mayStartEffects: () => boolean): Member => ({
  id,
  start: async () => undefined,
  stop: async () => undefined,
  mayStartEffects,
  relayBeats: () => 0,
  setLoad: () => undefined,
  setStatus: () => undefined,
  onDead: () => undefined,
})
