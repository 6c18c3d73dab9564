/**
 * `orchestrator-daemon cluster move` and `cluster rebalance`: ask the leader, and wait for what becomes of it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type BalancerInput, balance, type Plan } from '../coordinator/balancer.js'
import { loadsOf } from '../coordinator/load-watch.js'
import { HOLD_MS, obstacleTo } from '../coordinator/operator-requests.js'
import { shardOf } from '../shards/shard.js'
import type { ClusterRequest, NewClusterRequest } from '../storage/cluster-requests.js'
import {
  type ClusterFlags,
  type ClusterState,
  type ClusterStores,
  nodeNamed,
  refuseWithoutLeader,
  withCluster,
} from './cluster.js'
import { CommandFailure } from './exit.js'
import { operator } from './operator.js'
import { type Colours, duration, Output, table } from './output.js'

/** Longer than the leader tries, and than it takes to find another leader. */
const WAIT_MS = 90_000
const POLL_MS = 50

export async function clusterMove(what: string, where: string, flags: ClusterFlags): Promise<void> {
  const output = new Output()
  await withCluster(flags, async (stores) => {
    const state = await stores.picture()
    refuseWithoutLeader(state)
    const shard = await shardNamed(what, stores, state)
    const target = nodeNamed(state.workers, where, 'worker')
    const from = state.assignments.find((it) => it.shard === shard)?.owner ?? null
    const assignment = state.assignments.find((it) => it.shard === shard)
    const obstacle = obstacleTo(assignment, target, where, versionsOf(state))
    if (obstacle !== undefined) throw new CommandFailure(obstacle)
    const { outcome, ms } = await carriedOut({ kind: 'move', shard, target: target.id }, stores)
    const after = await stores.assignments.find(shard)
    const result = { shard, from, to: target.id, epoch: after?.epoch ?? null, ms, heldMs: HOLD_MS, outcome }
    if (flags.json) output.json(result)
    else
      output.line(
        `${outcome}, epoch ${result.epoch}, ${duration(ms)} after it was asked; it stays for ${duration(HOLD_MS)}`,
      )
  })
}

export async function clusterRebalance(flags: ClusterFlags & { readonly dryRun?: true }): Promise<void> {
  const output = new Output()
  await withCluster(flags, async (stores) => {
    const state = await stores.picture()
    if (flags.dryRun) {
      showPlan(planOf(state), flags, output)
      return
    }
    refuseWithoutLeader(state)
    const { outcome, ms } = await carriedOut({ kind: 'rebalance' }, stores)
    if (flags.json) output.json({ outcome, ms })
    else output.line(outcome)
  })
}

/** What a leader that looked now would do. */
export function planOf(state: ClusterState): Plan {
  const owners = new Map(state.assignments.flatMap(({ shard, owner }) => (owner === null ? [] : [[shard, owner]])))
  const input: BalancerInput = {
    shardCount: state.assignments.length,
    assignments: state.assignments,
    workers: state.workers,
    versions: versionsOf(state),
    targets: new Map(),
    moving: false,
    loads: loadsOf(owners, state.loads),
    byLoad: true,
  }
  return balance(input)
}

function showPlan(plan: Plan, flags: ClusterFlags, output: Output): void {
  if (flags.json) output.json(plan)
  else for (const line of planLines(plan, output.colours)) output.line(line)
}

function planLines({ takeovers, moves, reason, stranded }: Plan, colours: Colours): string[] {
  const rows = [
    ...takeovers.map(({ shard, owner }) => [String(shard), '-', owner, 'has no owner']),
    ...moves.map(({ shard, from, to }) => [String(shard), from, to, reason === 'load' ? 'load' : 'number of shards']),
    ...stranded.map((shard) => [String(shard), '-', '-', 'no worker may take it']),
  ]
  if (rows.length === 0) return ['nothing would move']
  const [heading = '', ...lines] = table([['SHARD', 'FROM', 'TO', 'BECAUSE OF'], ...rows])
  return [colours.dim(heading), ...lines]
}

async function carriedOut(
  request: NewClusterRequest,
  { requests }: ClusterStores,
): Promise<{ readonly outcome: string; readonly ms: number }> {
  const askedAt = performance.now()
  const id = await requests.add(request, operator())
  const ended = await untilEnded(() => requests.find(id), askedAt + WAIT_MS)
  if (!ended) throw new CommandFailure(`the leader did not answer within ${duration(WAIT_MS)}; the request stands`)
  if (ended.state === 'refused') throw new CommandFailure(ended.outcome ?? 'the leader refused it')
  return { outcome: ended.outcome ?? '', ms: Math.round(performance.now() - askedAt) }
}

async function untilEnded(
  read: () => Promise<ClusterRequest | undefined>,
  deadline: number,
): Promise<ClusterRequest | undefined> {
  while (performance.now() < deadline) {
    const request = await read()
    if (request && request.state !== 'waiting') return request
    await sleep(POLL_MS)
  }
  return undefined
}

async function shardNamed(text: string, { sessions }: ClusterStores, state: ClusterState): Promise<number> {
  if (/^\d+$/.test(text)) {
    if (Number(text) < state.assignments.length) return Number(text)
    throw new CommandFailure(`there is no shard ${text}; shards are 0 to ${state.assignments.length - 1}`)
  }
  const shard = shardOf(text)
  if (shard !== undefined && (await sessions.find(text))) return shard
  throw new CommandFailure(`${text} is neither the number of a shard nor the id of a session of this cluster`)
}

const versionsOf = ({ nodes }: ClusterState): ReadonlyMap<string, string> =>
  new Map(nodes.map(({ id, version }) => [id, version]))
