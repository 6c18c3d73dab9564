/**
 * Fits storage and settings to what an edge asks for.
 */
import type { Bus } from '../bus/bus.js'
import type { ClusterView } from '../cluster/cluster.js'
import { certificateOf, corsOriginsOf } from '../config/derived.js'
import type { Config } from '../config/load.js'
import { MAX_CONNECTIONS_PER_EDGE } from '../edge/connection-limit.js'
import type { EdgeDependencies, TaskFederation, TaskScheduling } from '../edge/dependencies.js'
import type { SessionRows } from '../edge/rows.js'
import type { AuthSettings } from '../edge/settings.js'
import { ServiceError } from '../protocol/errors.js'
import type { NodeId } from '../protocol/ids.js'
import { Approvals } from '../storage/approvals.js'
import { SERVICE_CHAIN } from '../storage/audit-log.js'
import type { AuditTrail } from '../storage/audit-trail.js'
import type { Database } from '../storage/database.js'
import { Events } from '../storage/events.js'
import { throughOutage, unavailable } from '../storage/outage.js'
import { SessionList } from '../storage/session-list.js'
import { Sessions } from '../storage/sessions.js'
import type { Log } from '../telemetry/log.js'
import type { EdgeMetrics } from '../telemetry/metrics.js'
import { VERSION } from '../version.js'
import { statusSource } from './status-source.js'

export interface EdgeFitting {
  readonly config: Config
  readonly node: NodeId
  readonly log: Log
  readonly database: Database
  readonly audit: Pick<AuditTrail, 'add'>
  readonly bus: Bus
  readonly view: ClusterView
  readonly metrics: EdgeMetrics
  readonly tracing: EdgeDependencies['tracing']
  readonly pages: EdgeDependencies['pages']
  readonly sharedLimits: EdgeDependencies['sharedLimits']
  readonly federation: EdgeDependencies['federation']
  readonly scheduling: TaskScheduling
  readonly http: EdgeDependencies['http']
  readonly v2: EdgeDependencies['v2']
  readonly onSpawned: EdgeDependencies['onSpawned']
}

const MS_PER_SECOND = 1_000

export function edgeParts(fitting: EdgeFitting): EdgeDependencies {
  const { config, node, log, database, bus, view, metrics, pages, sharedLimits, federation, scheduling } = fitting
  const { http, v2, onSpawned, audit, tracing } = fitting
  return {
    id: node,
    settings: edgeSettings(config),
    bus,
    view,
    approvals: approvalDecisions(database),
    audit: { add: (note) => audit.add({ ...note, tenant: note.tenant ?? SERVICE_CHAIN }) },
    sessions: sessionRows(database),
    events: new Events(database),
    status: statusSource({ config, bus, database, view }),
    log,
    metrics,
    tracing,
    pages,
    sharedLimits,
    federation: federation && federationDoor(federation),
    scheduling: schedulingDoor(scheduling),
    http,
    v2,
    onSpawned,
  }
}

function federationDoor(federation: TaskFederation): TaskFederation {
  return {
    route: (tenant, request) => orUnavailable(federation.route(tenant, request)),
    submit: (holder, request, context) => orUnavailable(federation.submit(holder, request, context)),
    result: (tenant, id, signal) => orUnavailable(federation.result(tenant, id, signal)),
  }
}

function schedulingDoor(scheduling: TaskScheduling): TaskScheduling {
  return {
    schedule: (holder, order) => orUnavailable(scheduling.schedule(holder, order)),
    list: (holder, query) => orUnavailable(scheduling.list(holder, query)),
    cancel: (holder, id) => orUnavailable(scheduling.cancel(holder, id)),
    cancelTask: (holder, sessionId, taskId) => scheduling.cancelTask(holder, sessionId, taskId),
  }
}

function edgeSettings({ server, monitoring, cluster, auth }: Config): EdgeDependencies['settings'] {
  return {
    name: server.name,
    version: VERSION,
    host: server.host,
    port: server.port,
    healthPath: monitoring.healthEnabled ? monitoring.healthPath : undefined,
    corsOrigins: corsOriginsOf({ auth }),
    dashboard: monitoring.dashboardEnabled,
    maxPayloadBytes: server.maxMessageBytes,
    heartbeatIntervalMs: server.heartbeatIntervalMs,
    shutdownTimeoutMs: server.shutdownTimeoutMs,
    placement: cluster.strategy,
    certificate: certificateOf({ server }),
    auth: authSettings(auth),
    limits: clientLimits({ auth }),
    proxies: { trusted: auth.trustedProxies, proxyProtocol: auth.proxyProtocol },
  }
}

/** How much each client may ask for. */
export function clientLimits({ auth }: Pick<Config, 'auth'>): EdgeDependencies['settings']['limits'] {
  return {
    messages: auth.rateLimitEnabled ? { max: auth.rateLimitMax, windowMs: auth.rateLimitWindowMs } : undefined,
    connections: { perPrincipal: auth.maxConnections, perEdge: MAX_CONNECTIONS_PER_EDGE },
    perAddress: { connections: auth.maxConnectionsPerAddress, messages: ratePerAddress(auth) },
  }
}

/** What of the settings decides who may come in. */
export function authSettings(auth: Config['auth']): AuthSettings {
  return {
    secret: auth.jwtSecret,
    previousSecrets: auth.jwtPreviousSecrets,
    remote: remoteIssuer(auth),
    apiKeys: auth.apiKeys,
    mode: auth.mode,
    allowLoopback: auth.allowLoopback,
    issuer: auth.issuer,
    audience: auth.audience,
    tokenLifetimeMs: auth.jwtExpirationSeconds * MS_PER_SECOND,
  }
}

function remoteIssuer({ jwksUrl: url, jwksAlgorithms: algorithms, ...auth }: Config['auth']): AuthSettings['remote'] {
  if (url === undefined) return undefined
  return { url, algorithms, issuer: auth.jwksIssuer ?? auth.issuer, audience: auth.jwksAudience ?? auth.audience }
}

function ratePerAddress({
  rateLimitEnabled,
  rateLimitMaxPerAddress: max,
  rateLimitWindowMs: windowMs,
}: Config['auth']) {
  return rateLimitEnabled && max !== undefined ? { max, windowMs } : undefined
}

function sessionRows(database: Database): SessionRows {
  const sessions = new Sessions(database)
  const list = new SessionList(database)
  return {
    reserve: ({ idemKey, ...row }) =>
      throughOutage(() => sessions.reserve({ ...row, ...(idemKey !== undefined && { idemKey }) })),
    releaseKey: (id) => orUnavailable(sessions.releaseKey(id)),
    find: (id) => orUnavailable(sessions.find(id)),
    listByTenant: (tenant, page) => orUnavailable(list.page(tenant, page)),
    countByTenant: (tenant, filter) => orUnavailable(list.count(tenant, filter)),
    markSubmitted: (id) => sessions.markSubmitted(id),
  }
}

function approvalDecisions(database: Database): EdgeDependencies['approvals'] {
  const approvals = new Approvals(database)
  return {
    decide: (decision) => throughOutage(() => approvals.decide(decision)),
    list: (tenant, query) => orUnavailable(approvals.list(tenant, query)),
  }
}

/** A database that does not answer is nobody's bug: the client is told, and may try again. */
async function orUnavailable<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (cause) {
    if (cause instanceof ServiceError) throw cause
    throw unavailable(cause)
  }
}
