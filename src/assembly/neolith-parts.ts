/**
 * The connection to Neolith: its client with the cluster's tokens, the reporter that speaks for the service, and what other
 * doors may read.
 */
import type { ClusterView } from '../cluster/cluster.js'
import { NeolithApiClient } from '../neolith/api-client.js'
import { type Lease, RedisLease, soleLease } from '../neolith/lease.js'
import { Pace } from '../neolith/pace.js'
import { Poster } from '../neolith/poster.js'
import { RedisTokens } from '../neolith/redis-tokens.js'
import { Relay } from '../neolith/relay.js'
import { Reporter, SCOPES } from '../neolith/reporter.js'
import { Seal } from '../neolith/sealed.js'
import { MemoryTokens, type TokenStore } from '../neolith/tokens.js'
import { type NeolithView, neolithView } from '../neolith/view.js'
import { tenantSchema } from '../protocol/ids.js'
import { connectCommands, disconnect, type RedisClient } from '../redis/connect.js'
import { neolithLeaseKey, neolithTokensKey } from '../redis/keys.js'
import type { Database } from '../storage/database.js'
import { NeolithTasks } from '../storage/neolith-tasks.js'
import { TaskEnds } from '../storage/task-ends.js'
import type { Metrics } from '../telemetry/metrics.js'
import { SeldomLog } from '../telemetry/seldom-log.js'
import type { Entrance, Inside } from './in-process-socket.js'
import { NeolithSessions } from './neolith-sessions.js'
import { NeolithFigures } from './neolith-state.js'
import { type Foundation, redisConfig, usesRedis } from './planes.js'

/** What Neolith takes in a minute until it says otherwise. */
const MESSAGES_PER_MINUTE = 60

export interface NeolithFitting<I extends Inside> {
  readonly database: Database
  readonly metrics: Metrics
  readonly view: Pick<ClusterView, 'nodes'>
  /** Asked once the door is open. */
  readonly entrance: () => Entrance<I> & { readonly connections: number }
}

export interface OpenNeolith {
  readonly reporter: Reporter
  readonly view: NeolithView
}

export interface Credentials {
  readonly apiKey: string
  readonly apiSecret: string
}

/** Connects to nobody before the reporter starts, or the view is asked. */
export async function openNeolith<I extends Inside>(
  foundation: Foundation,
  credentials: Credentials,
  fitting: NeolithFitting<I>,
): Promise<OpenNeolith> {
  const figures = new NeolithFigures(fitting)
  const shared = await openShared(foundation, credentials)
  const ended = new AbortController()
  const { apiUrl: baseUrl } = foundation.config.neolith
  const client = new NeolithApiClient(
    { baseUrl, ...credentials },
    { store: shared.store, signal: ended.signal, observe: figures.called },
  )
  const pace = new Pace(MESSAGES_PER_MINUTE)
  const relay = openRelay(foundation, fitting, { client, pace, figures })
  const reporter = openReporter(foundation, fitting, { client, pace, figures, relay, ended, lease: shared.lease })
  const traffic = () => ({ ...figures.traffic, messagesPerMinute: pace.perMinute, breaker: client.breakerState })
  fitting.metrics.neolith.watch({
    breaker: () => client.breakerState,
    reporting: () => figures.traffic.reporting,
    open: () => relay.size,
  })
  return { reporter, view: neolithView({ client, scopes: SCOPES, traffic }) }
}

interface Shared {
  readonly store: TokenStore
  readonly lease: Lease
}

/** What the nodes of a cluster have in common; one process alone has it in memory. */
async function openShared(foundation: Foundation, { apiKey, apiSecret }: Credentials): Promise<Shared> {
  const { config, node, log } = foundation
  if (!usesRedis(config)) return { store: new MemoryTokens(), lease: soleLease }
  const redis = await openRedis(foundation)
  const cluster = config.cluster.name
  const lease = (of: 'tokens' | 'report') => new RedisLease(redis, neolithLeaseKey(cluster, of), node)
  const seldom = new SeldomLog(log)
  const store = new RedisTokens({
    ...{ redis, key: neolithTokensKey(cluster), lease: lease('tokens'), seal: new Seal(apiKey, apiSecret) },
    onError: (err) => seldom.warn({ err }, 'the tokens of Neolith cannot be shared while Redis does not answer'),
  })
  return { store, lease: lease('report') }
}

async function openRedis({ config, log, lifecycle }: Foundation): Promise<RedisClient> {
  const onError = (err: Error) => log.warn({ err }, 'Redis connection failed; connecting again')
  const redis = await connectCommands(redisConfig(config), onError)
  lifecycle.started('neolith connection', async () => disconnect(redis))
  return redis
}

interface Inner {
  readonly client: NeolithApiClient
  readonly pace: Pace
  readonly figures: NeolithFigures
}

function openRelay<I extends Inside>(
  { config, node, log }: Foundation,
  { database, metrics, entrance }: NeolithFitting<I>,
  { client, pace, figures }: Inner,
): Relay {
  const { sessionType } = config.neolith
  const seldom = new SeldomLog(log)
  return new Relay({
    watcher: node,
    tasks: new NeolithTasks(database),
    door: new NeolithSessions({ entrance, ends: new TaskEnds(database), sessionType }),
    poster: new Poster({ client, pace }),
    onWritten: figures.written,
    onEnded: ({ messageId, sessionId }, status, err) => {
      metrics.neolith.ended(status)
      figures.ended()
      if (status !== 'answered') log.warn({ err, messageId, sessionId, status }, 'a task of Neolith has no good end')
    },
    warn: (err, text) => seldom.warn({ err }, text),
  })
}

function openReporter<I extends Inside>(
  { config, log }: Foundation,
  { database }: NeolithFitting<I>,
  { client, pace, figures, relay, ended, lease }: Inner & { relay: Relay; ended: AbortController; lease: Lease },
): Reporter {
  return new Reporter({
    ...{ client, lease, relay, pace, log, tasks: new NeolithTasks(database) },
    heartbeatMs: config.server.heartbeatIntervalMs,
    state: async () => figures.state(),
    accepts: (orchestrator) => tenantSchema.safeParse(orchestrator).success,
    endCalls: () => ended.abort(),
    onReporting: figures.reports,
    onTaken: figures.taken,
  })
}
