/**
 * The service itself over HTTP: the caller, how the daemon does, the picture of the cluster, and this door's description.
 */
import type { ClusterView, LiveNode } from '../../cluster/cluster.js'
import { nodeName } from '../../protocol/ids.js'
import { docsPage } from '../../protocol/rest/docs-page.js'
import { openApiDocument } from '../../protocol/rest/openapi.js'
import type { Caller } from '../caller.js'
import { isWorker } from '../session-placement.js'
import type { EdgeSettings } from '../settings.js'
import { type Header, JSON_TYPE, ok } from './answer.js'
import type { Handlers } from './handlers.js'
import type { AssignmentRow, HttpSources } from './sources.js'

const DEFAULT_MOVES = 100

export interface ServiceParts {
  readonly settings: Pick<EdgeSettings, 'version' | 'placement'>
  readonly view: ClusterView
  readonly sources: Pick<HttpSources, 'cluster' | 'neolith'>
  /** ms since 1970, when this edge started. */
  readonly startedAt: number
}

export function serviceAnswers(
  parts: ServiceParts,
): Handlers<'whoAmI' | 'renewToken' | 'readStatus' | 'readCluster' | 'listShards' | 'listMoves' | 'openApi' | 'docs'> {
  const { settings, view, sources } = parts
  const document = JSON.stringify(openApiDocument(settings.version))
  const page = docsPage(settings.version)
  return {
    whoAmI: ({ principal: { tenant, subject, role, scopes, expiresAt } }) =>
      ok({
        ...{ tenant, subject, role, scopes: scopes ?? null },
        expiresAt: expiresAt === undefined ? null : new Date(expiresAt).toISOString(),
      }),
    renewToken: async ({ caller }) => {
      const { token, expiresAt } = await caller.ask({ type: 'token_refresh' }, 'token_refreshed')
      return ok({ token, expiresAt })
    },
    readStatus: async ({ caller }) => {
      const status = await statusOf(caller)
      return ok({
        ...status,
        running: true,
        activeAgents: status.activeSessions,
        totalChannels: await channelCount(sources),
        messagesProcessed: status.metrics.totalTasksProcessed,
        startedAt: new Date(parts.startedAt).toISOString(),
      })
    },
    readCluster: async () => {
      const leader = (await sources.cluster.leader()) ?? null
      return ok({ shardCount: view.shardCount, strategy: settings.placement, leader, nodes: nodesOf(view) })
    },
    listShards: async () => ok({ shards: await shardsOf(sources.cluster, view) }),
    listMoves: async ({ query: { limit = DEFAULT_MOVES } }) => {
      const moved = (await sources.cluster.assignments()).filter(({ epoch }) => epoch > 0)
      const newest = moved.toSorted((a, b) => b.changedAt.getTime() - a.changedAt.getTime())
      return ok({ moves: newest.slice(0, limit).map(moveOf) })
    },
    openApi: () => ({ status: 200, type: JSON_TYPE, body: document }),
    docs: () => ({ status: 200, type: 'text/html; charset=utf-8', body: page, headers: DOCS_HEADERS }),
  }
}

/** A status is answered whatever Neolith does; what it does not tell counts as none. */
async function channelCount({ neolith }: Pick<HttpSources, 'neolith'>): Promise<number> {
  const channels = await neolith?.channels().catch(() => [])
  return channels?.length ?? 0
}

/** Nothing on the page runs, and it loads nothing. */
const DOCS_HEADERS: readonly Header[] = [['content-security-policy', "default-src 'none'; style-src 'unsafe-inline'"]]

export async function statusOf(caller: Caller) {
  return (await caller.ask({ type: 'daemon_status' }, 'daemon_status_response')).status
}

/** What a worker's weight stands for among those that take sessions. */
function nodesOf(view: ClusterView) {
  const owned = new Map<string, number>()
  for (const owner of view.owners().values()) owned.set(owner, (owned.get(owner) ?? 0) + 1)
  const nodes = view.nodes()
  const total = nodes.reduce((sum, node) => sum + shareWeight(node), 0)
  return nodes.map((node) => {
    const { id, role, version, status, weight, load, lagMs } = node
    const share = total === 0 ? 0 : shareWeight(node) / total
    return {
      ...{ id, name: nodeName(id), role, version, status, weight, load, lagMs },
      shards: owned.get(id) ?? 0,
      share,
    }
  })
}

const shareWeight = (node: LiveNode): number => (isWorker(node) && node.status === 'live' ? node.weight : 0)

async function shardsOf({ assignments, loads }: HttpSources['cluster'], view: ClusterView) {
  const [rows, reports] = await Promise.all([assignments(), loads()])
  const weights = new Map(view.nodes().map(({ id, weight }) => [id, weight]))
  const hot = new Map([...reports.values()].flatMap((report) => report.hot.map((load) => [load.shard, load] as const)))
  return rows.map(({ shard, owner, epoch, state, previousOwner, changedAt }) => {
    const load = hot.get(shard)
    return {
      ...{ shard, owner, epoch, state, previousOwner, changedAt },
      weight: (owner === null ? undefined : weights.get(owner)) ?? 0,
      load: load ? { running: load.running, queued: load.queued, perSecond: load.perSecond } : null,
    }
  })
}

const moveOf = ({ shard, previousOwner: from, owner: to, epoch, state, changedAt: at }: AssignmentRow) => ({
  ...{ shard, from, to, epoch, state, at },
})
