/**
 * Fits storage to what a worker asks for.
 */
import { resolve } from 'node:path'
import type { Config } from '../config/load.js'
import { type NodeId, newDeadLetterId } from '../protocol/ids.js'
import { Approvals } from '../storage/approvals.js'
import type { AuditTrail } from '../storage/audit-trail.js'
import type { Database } from '../storage/database.js'
import { DeadLetters } from '../storage/dead-letters.js'
import { DormantSessions } from '../storage/dormant-sessions.js'
import { Events } from '../storage/events.js'
import { LeaderLease } from '../storage/leader.js'
import { Nodes } from '../storage/nodes.js'
import { throughOutage } from '../storage/outage.js'
import { Projection } from '../storage/projection.js'
import { Sessions } from '../storage/sessions.js'
import { ShardAssignments } from '../storage/shard-assignments.js'
import { ToolIntents } from '../storage/tool-intents.js'
import { Workspaces } from '../storage/workspaces.js'
import type { WorkerStorage } from '../worker/worker-storage.js'
import { WorkspaceKeeper } from '../worker/workspace-keeper.js'

/** `episodicDays`: see `Projection`. */
export function workerStorage(
  database: Database,
  node: NodeId,
  audit: Pick<AuditTrail, 'add'>,
  episodicDays = 0,
): WorkerStorage {
  const assignments = new ShardAssignments(database)
  const sessions = new Sessions(database)
  const events = new Events(database)
  const nodes = new Nodes(database)
  const deadLetters = new DeadLetters(database)
  const approvals = new Approvals(database)
  const intents = new ToolIntents(database)
  const leader = new LeaderLease(database)
  const projection = new Projection(database, episodicDays)
  const dormant = new DormantSessions(database)
  return {
    assigned: async () =>
      (await assignments.ownedBy(node)).map(({ shard, epoch, state, previousOwner }) => ({
        shard,
        epoch,
        state,
        previousOwner: previousOwner ?? undefined,
      })),
    release: (shards) => assignments.release(shards, node),
    raise: (shard, toEpoch) => assignments.raise(shard, node, toEpoch),
    ownerOf: async (shard) => (await assignments.find(shard))?.owner ?? undefined,
    leader: async () => (await leader.current())?.holder,
    project: (batches) => projection.project(batches),
    lastEvent: (id) => events.last(id),
    pageEvents: (id, after, upTo, limit) => events.page(id, after, upTo, limit),
    pageEventsBack: (id, upTo, limit) => events.pageBack(id, upTo, limit),
    beginOnce: (call, signal) => throughOutage(() => intents.begin(call), { signal }),
    requestApproval: (asked, signal) => throughOutage(() => approvals.request(asked), { signal }),
    settledApprovals: (ids) => approvals.settled(ids),
    cancelApprovals: (id, command) => throughOutage(() => approvals.cancel(id, command)),
    audit: (entry) => audit.add(entry),
    recordDeadLetter: async (letter) => {
      const id = newDeadLetterId()
      await throughOutage(() => deadLetters.record({ ...letter, id, command: JSON.stringify(letter.command) }))
      return id
    },
    whereabouts: (id) => dormant.find(id),
    dormant,
    unsubmitted: async (shards, olderThanMs, limit) =>
      (await sessions.findUnsubmitted(shards, olderThanMs, limit)).map((row) => ({ ...row, sessionId: row.id })),
    ending: async (id) => {
      const record = await nodes.find(id)
      return record?.endedAt ? { planned: record.status === 'left', at: record.endedAt } : undefined
    },
  }
}

export function workspaceKeeper({ worker }: Config, database: Database): WorkspaceKeeper {
  const workspaces = new Workspaces(database)
  const store = {
    save: workspaces.save.bind(workspaces),
    load: workspaces.load.bind(workspaces),
    hashes: workspaces.listHashes.bind(workspaces),
  }
  return new WorkspaceKeeper(resolve(worker.workspaceRoot), store, false)
}
