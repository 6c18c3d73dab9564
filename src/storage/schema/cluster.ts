/**
 * Tables of the cluster: its nodes, who owns which shard, what is asked of the leader.
 */
import type { Generated } from 'kysely'
import type { FilledTimestamp, NullableTimestamp } from './columns.js'

export type NodeStatus = 'live' | 'draining' | 'left' | 'dead'
export type NodeRole = 'edge' | 'worker' | 'coordinator' | 'all'
export type AssignmentState = 'assigned' | 'releasing' | 'released'

export interface NodesTable {
  id: string
  name: string
  role: NodeRole
  version: string
  capacity: number
  status: Generated<NodeStatus>
  started_at: FilledTimestamp
  ended_at: NullableTimestamp
}

export interface ShardAssignmentsTable {
  shard: number
  owner: string | null
  epoch: Generated<number>
  state: Generated<AssignmentState>
  previous_owner: string | null
  changed_at: FilledTimestamp
}

export interface ClusterRequestsTable {
  id: Generated<number>
  kind: 'move' | 'rebalance'
  shard: number | null
  target: string | null
  state: Generated<'waiting' | 'done' | 'refused'>
  outcome: string | null
  requested_at: FilledTimestamp
  ended_at: NullableTimestamp
  held_until: NullableTimestamp
}
