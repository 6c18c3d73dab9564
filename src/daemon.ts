/**
 * The composition root: the only place that knows which implementation stands behind each interface. Starts the parts
 * of a role from the ground up and stops them in reverse.
 *
 *   database ▶ bus ▶ membership ▶ worker ▶ coordinator ▶ edge ▶ admin server
 */
import type { OpenCharter } from './assembly/charter-parts.js'
import { FigureLog } from './assembly/figure-log.js'
import { HealthWatch } from './assembly/health-watch.js'
import { Lifecycle } from './assembly/lifecycle.js'
import { type Cause, LiveSettings, type Reloaded } from './assembly/live-settings.js'
import type { OpenMemory } from './assembly/memory-parts.js'
import type { OpenNeolith } from './assembly/neolith-parts.js'
import { levelOf } from './assembly/node-log.js'
import { heeding } from './assembly/node-words.js'
import {
  type ControlPlane,
  type Foundation,
  isClustered,
  join,
  openBus,
  openStorage,
  usesRedis,
} from './assembly/planes.js'
import { settingsDesk, settingsNote } from './assembly/settings-desk.js'
import { sharedLimits } from './assembly/shared-limits.js'
import type { BudgetDesk } from './budget/budget-desk.js'
import type { Bus } from './bus/bus.js'
import type { Charter } from './charter/schema.js'
import type { ControlChannel, LiveNode, Role } from './cluster/cluster.js'
import { certificateOf, corsOriginsOf } from './config/derived.js'
import type { Config } from './config/load.js'
import type { HibernateJob } from './coordinator/jobs/hibernate.js'
import type { Edge } from './edge/edge.js'
import type { HttpSources } from './edge/http/sources.js'
import type { V2Sources } from './edge/v2/sources.js'
import type { Federation } from './federation/federation.js'
import { type NodeId, newNodeId } from './protocol/ids.js'
import { AuditLog, SERVICE_CHAIN } from './storage/audit-log.js'
import { AuditTrail } from './storage/audit-trail.js'
import { ClusterRequests } from './storage/cluster-requests.js'
import type { Database } from './storage/database.js'
import { LeaderLease } from './storage/leader.js'
import { Nodes } from './storage/nodes.js'
import { ShardAssignments } from './storage/shard-assignments.js'
import { AdminServer } from './telemetry/admin-server.js'
import { Alerts } from './telemetry/alerts.js'
import { Health } from './telemetry/health.js'
import type { Log } from './telemetry/log.js'
import type { LogLevelSwitch } from './telemetry/log-level.js'
import { createMetrics, type Metrics } from './telemetry/metrics.js'
import { openTracing } from './telemetry/open-tracing.js'
import { Pages } from './telemetry/pages.js'
import type { Tracing } from './telemetry/tracing.js'
import { VERSION } from './version.js'
import type { Worker } from './worker/worker.js'

export interface DaemonOptions {
  readonly config: Config
  readonly log: Log
  /** The cluster has declared this process dead: it must exit at once, because another one does its work now. */
  readonly onDead: () => void
  /** An operator wants this node to give everything away and to end; called once. */
  readonly onDrain?: () => void
  /** Turns the level of `log` while the process runs; undefined where that is not for an operator to do. */
  readonly logLevel?: LogLevelSwitch
  /** Told of every session that comes in at this node's edge and that a worker has accepted. */
  readonly onSpawned?: (sessionId: string, tenant: string) => void
  /** Told of settings that count anew: for what stands outside. */
  readonly onReloaded?: (config: Config) => void
  /** Told of each part that has started, by its name: for whoever watches the start. */
  readonly onStarted?: (part: string) => void
}

interface Planes extends ControlPlane {
  readonly database: Database
  readonly audit: AuditTrail
  readonly bus: Bus
  readonly shardCount: number
}

/** Whether others could have the shards of a node that stops: a worker that stays, and a coordinator that moves them. */
function canTakeOver(nodes: readonly LiveNode[], stopping: NodeId): boolean {
  const others = nodes.filter(({ id, status }) => id !== stopping && status === 'live')
  const has = (wanted: Role) => others.some(({ role }) => role === wanted || role === 'all')
  return has('worker') && has('coordinator')
}

/** Where this process writes files, by what they hold. */
function foldersOf({ server, database, worker }: Config): Record<string, string> {
  const runsSessions = server.role === 'worker' || server.role === 'all'
  return {
    ...(runsSessions && { workspaces: worker.workspaceRoot }),
    ...(database.url === undefined && { database: database.directory }),
  }
}

export class Daemon {
  readonly #foundation: Foundation
  readonly #metrics: Metrics
  readonly #alerts: Alerts
  readonly #pages: Pages
  readonly #health: Health
  readonly #lifecycle: Lifecycle
  readonly #settings: LiveSettings
  /** Known where sessions run, and where they are shown. */
  #charter: Charter | undefined
  #tracing: Tracing | undefined
  #openCharter: Promise<OpenCharter> | undefined
  #draining = false
  #memory: Promise<OpenMemory> | undefined
  #worker: Worker | undefined
  #hibernateJob: HibernateJob | undefined
  #edge: Edge | undefined
  #federation: Federation | undefined
  #budgets: BudgetDesk | undefined
  #admin: AdminServer | undefined
  #audit: AuditTrail | undefined

  constructor(private readonly options: DaemonOptions) {
    const { config, log } = options
    this.#lifecycle = new Lifecycle(log, config.server.shutdownTimeoutMs, options.onStarted)
    this.#health = new Health(config.monitoring.healthTimeoutMs)
    this.#metrics = createMetrics(config.server.name)
    this.#alerts = new Alerts({ samples: (family) => this.#metrics.samples(family), log })
    this.#pages = new Pages({
      ...{
        metrics: this.#metrics,
        alerts: this.#alerts,
        health: this.#health,
        version: VERSION,
        logLevel: options.logLevel,
      },
      metricsPath: config.monitoring.metricsPath,
      onLevelChanged: (level) => this.#noteLevel(level),
    })
    const node = newNodeId(config.server.name)
    this.#settings = new LiveSettings(config, log)
    this.#settings.onChanged((now, before) => this.#turnLog(now, before))
    this.#settings.onAdopted((adopted) => this.#audit?.add(settingsNote(node, adopted)))
    this.#foundation = { config, settings: this.#settings, node, version: VERSION, log, lifecycle: this.#lifecycle }
  }

  /** Port for clients, known after `start` in roles that listen. */
  get port(): number | undefined {
    return this.#edge?.port
  }

  /** The door for clients, known after `start` in roles that listen. */
  get edge(): Edge | undefined {
    return this.#edge
  }

  /** Known after `start` in roles that listen, unless the settings keep this node out of it. */
  get federation(): Federation | undefined {
    return this.#federation
  }

  /** Known after `start` in roles that run sessions. */
  get budgets(): BudgetDesk | undefined {
    return this.#budgets
  }

  get metricsPort(): number | undefined {
    return this.#admin?.port ?? (this.#sharesPort ? this.#edge?.port : undefined)
  }

  /** Resolves when clients may come. @throws what kept a part from starting, after stopping the others. */
  async start(): Promise<void> {
    try {
      await this.#start()
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  /**
   * Takes up what is live of these settings, all of it or nothing, and says in the log what has changed and what waits for
   * the next start. What sessions do goes on. `cause` is for the audit log.
   */
  reload(config: Config, cause?: Cause): Promise<Reloaded> {
    return this.#settings.reload(config, cause)
  }

  /** Stops in reverse order, each part in bounded time. May be called twice. */
  async stop(): Promise<void> {
    this.#draining = true
    this.#health.setReadiness({ ready: false, message: 'draining' })
    await this.#lifecycle.stop()
    this.#metrics.stop()
  }

  /** A level that an operator has turned stays, unless the settings name another one than before. */
  #turnLog(now: Config, before: Config): void {
    if (levelOf(now) !== levelOf(before)) this.options.logLevel?.configure(levelOf(now))
    this.options.onReloaded?.(now)
  }

  async #start(): Promise<void> {
    const { config, log, node } = this.#foundation
    this.#metrics.start()
    for (const warning of config.warnings) log.warn({}, warning)
    const { role } = config.server
    if (role !== 'coordinator') {
      await this.#readCharter()
      await this.#openTracing()
    }
    const planes = await this.#openPlanes()
    if (role === 'worker' || role === 'all') await this.#startWorker(planes)
    if (planes.beats && (role === 'coordinator' || role === 'all')) await this.#startCoordinator(planes)
    if (!planes.beats) await this.#startJobs(planes)
    if (role === 'edge' || role === 'all') await this.#startEdge(planes)
    if (config.monitoring.metricsEnabled && !this.#sharesPort) await this.#startAdmin()
    this.#watchHealth()
    if (config.monitoring.metricsEnabled) this.#tellFigures()
    this.#health.setReadiness({ ready: true, message: 'ready' })
    const { environment } = config.server
    log.info({ node, port: this.port, metricsPort: this.metricsPort, environment }, 'ready')
  }

  /** One port for clients and operators, which the edge serves; a role without an edge has the port to itself. */
  get #sharesPort(): boolean {
    const { server, monitoring } = this.#foundation.config
    const isEdge = server.role === 'edge' || server.role === 'all'
    return monitoring.metricsEnabled && isEdge && server.port !== 0 && server.port === monitoring.metricsPort
  }

  #watchHealth(): void {
    const { config, log } = this.#foundation
    const intervalMs = config.monitoring.healthCheckIntervalMs
    const watch = new HealthWatch({ health: this.#health, intervalMs, log })
    this.#metrics.watchParts(() => this.#health.check())
    this.#metrics.watchFolders(foldersOf(config))
    watch.start()
    this.#lifecycle.started('health watch', async () => watch.stop())
  }

  /** Started first, so that it is stopped last: what others say at their end is sent too. A coordinator has no spans. */
  async #openTracing(): Promise<void> {
    const { config, node, version, log } = this.#foundation
    const tracing = await openTracing(config, { node, role: config.server.role, version }, log)
    this.#tracing = tracing
    if (tracing) this.#lifecycle.started('tracing', () => tracing.stop())
  }

  #tellFigures(): void {
    const { config, log } = this.#foundation
    const intervalMs = config.monitoring.metricsIntervalMs
    const figures = new FigureLog({ metrics: this.#metrics, intervalMs, log })
    figures.start()
    this.#lifecycle.started('figures in the log', async () => figures.stop())
    this.#alerts.start()
    this.#lifecycle.started('alerts', async () => this.#alerts.stop())
  }

  /** Before anything else: a node whose charter is wrong does not start. */
  async #readCharter(): Promise<void> {
    const { charterOf } = await import('./assembly/charter-parts.js')
    this.#charter = await charterOf(this.options.config, this.options.log)
  }

  async #openPlanes(): Promise<Planes> {
    const { database, shardCount } = await openStorage(this.#foundation)
    const audit = new AuditTrail({ log: new AuditLog(database), trace: this.#foundation.log })
    this.#audit = audit
    this.#lifecycle.started('audit log', () => audit.stop())
    const bus = await openBus(this.#foundation, database)
    const plane = await join(this.#foundation, database, shardCount)
    plane.member.onDead(this.options.onDead)
    const control = heeding(plane.control, {
      drain: () => this.#drain(),
      hibernate: ({ request, asker }) => void this.#hibernate(control, request, asker),
      hibernated: ({ request, node }) => this.#hibernateJob?.acknowledged(node, request),
    })
    this.#health.register(usesRedis(this.options.config) ? 'redis' : 'bus', () => bus.ping())
    // A cluster runs on without Postgres for a while: nobody is to be sent away from its nodes meanwhile.
    this.#health.register('database', () => database.ping(), { critical: !isClustered(this.options.config) })
    // Workers and coordinators listen for words of their own.
    if (plane.beats && this.#foundation.config.server.role === 'edge') {
      this.#lifecycle.started('control words', await control.receive(() => undefined))
    }
    return { ...plane, control, database, audit, bus, shardCount }
  }

  /** Whoever asks is at this machine: more is not known of them. */
  #noteLevel(level: string): void {
    const note = { tenant: SERVICE_CHAIN, actor: 'operator', action: 'log.level', sessionId: undefined }
    this.#audit?.add({ ...note, subject: this.#foundation.node, detail: { level } })
  }

  #drain(): void {
    if (this.#draining) return
    this.#draining = true
    this.#foundation.log.info({}, 'an operator drains this node')
    this.options.onDrain?.()
  }

  async #hibernate(control: ControlChannel, request: string, asker: NodeId): Promise<void> {
    const { node, log } = this.#foundation
    await this.#worker?.hibernateIdle()
    await control.send(asker, { type: 'hibernated', request, node }).catch((error: unknown) => {
      log.warn({ err: error }, 'the leader could not be answered; it asks again')
    })
  }

  // Each role is loaded when it starts: an edge needs no vendor's SDK, and a worker no sockets.
  async #startWorker({ database, audit, bus, member, view, beats, control, shardLoads }: Planes): Promise<void> {
    const [
      { Worker },
      { openRuntimes, workerStorage, workspaceKeeper },
      { workerLimits },
      { openBudgets, openPrices },
    ] = await Promise.all([
      import('./worker/worker.js'),
      import('./assembly/worker-parts.js'),
      import('./assembly/charter-parts.js'),
      import('./assembly/budget-parts.js'),
    ])
    const { config, node, log } = this.#foundation
    const settings = this.#settings.view
    const charter = await this.#charterInForce()
    const prices = openPrices(this.#foundation)
    const { budgets, desk } = await openBudgets(this.#foundation, {
      ...{ database, view, control, prices, charter, metrics: this.#metrics.budgets },
      tell: (tenant, alert) => worker.tellBudget(tenant, alert),
    })
    const { memory } = await this.#openMemory(database)
    const { runtimes: kinds, hooks } = await openRuntimes({
      prices,
      config,
      settings,
      member,
      metrics: this.#metrics,
      lifecycle: this.#lifecycle,
      database,
      log,
      memory,
      charter,
    })
    const worker = new Worker({
      bus,
      member,
      control,
      hasSuccessor: () => canTakeOver(view.nodes(), node),
      migrationTimeoutMs: config.cluster.migrationTimeoutMs,
      drainTimeoutMs: config.worker.drainTimeoutMs,
      reportShards: shardLoads && ((report) => shardLoads.publish(node, report)),
      lastBeatOf: async (id) => beats?.lastOf(id),
      storage: workerStorage(database, node, audit, config.memory.episodicDays),
      workspaces: workspaceKeeper(config, database),
      gate: charter.gate,
      hooks,
      get approvalTimeoutMs() {
        return settings.charter.approvalTimeoutMs
      },
      budgets,
      runtimeOf: (type) => kinds.of(type),
      ...workerLimits(config, charter.limits),
      get maxContextTokens() {
        return settings.memory.maxContextTokens
      },
      sessionTimeoutMs: config.session.timeoutMs,
      hibernateAfterMs: config.session.hibernateAfterMs,
      logger: log,
      metrics: this.#metrics.worker,
      tracing: this.#tracing,
      now: () => new Date(),
    })
    const limitTurns = () => worker.limitTurns(workerLimits(settings, charter.limits))
    charter.onChanged(limitTurns)
    this.#settings.onChanged(limitTurns)
    await worker.start()
    this.#worker = worker
    this.#budgets = desk
    const withinMs = config.cluster.migrationTimeoutMs + config.worker.drainTimeoutMs + config.server.shutdownTimeoutMs
    this.#lifecycle.started('worker', () => worker.stop(), withinMs)
  }

  /** With that of the organisation above it; one for all roles of this process. */
  #charterInForce(): Promise<OpenCharter> {
    this.#openCharter ??= import('./assembly/charter-parts.js').then(({ openCharter }) =>
      openCharter(this.#foundation, this.#charter),
    )
    return this.#openCharter
  }

  /** One for all roles of this process. */
  #openMemory(database: Database): Promise<OpenMemory> {
    const { config, log } = this.#foundation
    this.#memory ??= import('./assembly/memory-parts.js').then(({ openMemory }) =>
      openMemory({ config, log, database, metrics: this.#metrics.memory }),
    )
    return this.#memory
  }

  async #startCoordinator({ database, beats, primary, view, control, shardLoads, shardCount }: Planes): Promise<void> {
    const { node, log } = this.#foundation
    if (!beats || !primary || !shardLoads) return
    const [{ Coordinator }, { clusterJobs }] = await Promise.all([
      import('./coordinator/coordinator.js'),
      import('./assembly/background-jobs.js'),
    ])
    const requestRound = () => coordinator.requestRound()
    const metrics = this.#metrics.jobs
    const memory = (await this.#openMemory(database)).jobs()
    const jobs = await clusterJobs(this.#foundation, { database, control, view, metrics, requestRound, memory })
    this.#hibernateJob = jobs.hibernate
    this.#lifecycle.started('background jobs', () => jobs.led.stop())
    const coordinator = new Coordinator({
      id: node,
      shardCount,
      leader: new LeaderLease(database),
      nodes: new Nodes(database),
      assignments: new ShardAssignments(database),
      beats,
      primary,
      shardLoads,
      requests: new ClusterRequests(database),
      onTerm: (term) => jobs.led.follow(term),
      control,
      metrics: this.#metrics.cluster,
      log,
      clock: () => performance.now(),
      migrationTimeoutMs: this.#foundation.config.cluster.migrationTimeoutMs,
    })
    await coordinator.start()
    this.#lifecycle.started('coordinator', () => coordinator.stop())
  }

  async #startJobs({ database }: Planes): Promise<void> {
    const { soloJobs } = await import('./assembly/background-jobs.js')
    const memory = (await this.#openMemory(database)).jobs()
    const led = await soloJobs(this.#foundation, database, this.#metrics.jobs, memory)
    this.#lifecycle.started('background jobs', () => led.stop())
  }

  async #startEdge(planes: Planes): Promise<void> {
    const { database, audit, bus, view } = planes
    const { config, node, log } = this.#foundation
    const { onSpawned } = this.options
    const [{ Edge }, { clientLimits, edgeParts }, { followCredentials }, { federationOf }, { schedulingOf }] =
      await Promise.all([
        import('./edge/edge.js'),
        import('./assembly/edge-parts.js'),
        import('./assembly/credentials.js'),
        import('./assembly/federation-parts.js'),
        import('./assembly/scheduling-parts.js'),
      ])
    const limits = await sharedLimits(this.#foundation)
    const entrance = (): Edge => edge
    const tracing = this.#tracing
    const shared = { node, log, database, tracing }
    const federation = federationOf({ ...shared, config, metrics: this.#metrics, entrance })
    const scheduling = schedulingOf({ ...shared, settings: this.#settings.view, door: entrance })
    const neolith = await this.#openNeolith(planes, entrance)
    const parts = {
      config,
      node,
      log,
      database,
      audit,
      bus,
      view,
      metrics: this.#metrics.edge,
      tracing,
      pages: this.#sharesPort ? this.#pages : undefined,
      sharedLimits: limits,
      federation,
      scheduling,
      http: await this.#httpSources(planes, neolith),
      v2: await this.#v2Sources(database),
      onSpawned,
    }
    const edge = new Edge(edgeParts(parts))
    await edge.start()
    this.#edge = edge
    this.#settings.onChanged((now) => edge.limitClients(clientLimits(now)))
    followCredentials(this.#foundation, edge)
    this.#lifecycle.started('edge', () => edge.stop())
    scheduling.start()
    this.#lifecycle.started('scheduling', () => scheduling.stop())
    if (neolith) {
      neolith.reporter.start()
      this.#lifecycle.started('neolith', () => neolith.reporter.stop())
    }
    if (!federation) return
    federation.start()
    this.#federation = federation
    this.#lifecycle.started('federation', () => federation.stop())
  }

  /** Undefined where the settings name none. */
  async #openNeolith({ database, view }: Planes, entrance: () => Edge): Promise<OpenNeolith | undefined> {
    const { apiKey, apiSecret } = this.#foundation.config.neolith
    // The key alone fetches the charter of an organisation, and nothing more.
    if (apiKey === undefined || apiSecret === undefined) return undefined
    const { openNeolith } = await import('./assembly/neolith-parts.js')
    const parts = { database, view, entrance, metrics: this.#metrics }
    return openNeolith(this.#foundation, { apiKey, apiSecret }, parts)
  }

  async #v2Sources(database: Planes['database']): Promise<V2Sources> {
    const [{ v2Sources }, { memory }] = await Promise.all([
      import('./assembly/v2-parts.js'),
      this.#openMemory(database),
    ])
    return v2Sources({ database, memory, settings: settingsDesk(this.#settings, this.options.logLevel) })
  }

  async #httpSources(
    { database, view, control, shardLoads }: Planes,
    neolith: OpenNeolith | undefined,
  ): Promise<HttpSources> {
    const [{ httpSources }, { memory }, inForce] = await Promise.all([
      import('./assembly/http-parts.js'),
      this.#openMemory(database),
      this.#charterInForce(),
    ])
    const budgets = this.#budgets ?? (await this.#openBudgetDesk({ database, view, control }))
    const { node } = this.#foundation
    return httpSources({
      ...{ database, node, budgets, memory, shardLoads, charter: () => inForce.charter, nodes: () => view.nodes() },
      neolith: neolith?.view,
    })
  }

  /** Where no sessions run: only to be looked at. */
  async #openBudgetDesk(planes: Pick<Planes, 'database' | 'view' | 'control'>): Promise<BudgetDesk> {
    const { openBudgets, openPrices } = await import('./assembly/budget-parts.js')
    const { desk } = await openBudgets(this.#foundation, {
      ...{ ...planes, prices: openPrices(this.#foundation), charter: await this.#charterInForce() },
      ...{ metrics: this.#metrics.budgets, tell: () => undefined },
    })
    return desk
  }

  async #startAdmin(): Promise<void> {
    const { config, log } = this.#foundation
    const { metricsHost: host, metricsPort: port, metricsTls } = config.monitoring
    const certificate = metricsTls ? certificateOf(config) : undefined
    const corsOrigins = corsOriginsOf(config)
    const admin = new AdminServer({ host, port, pages: this.#pages, log, certificate, corsOrigins })
    await admin.start()
    this.#admin = admin
    if (metricsTls) {
      const { followMetricsCertificate } = await import('./assembly/credentials.js')
      followMetricsCertificate(this.#foundation, admin)
    }
    this.#lifecycle.started('admin server', () => admin.stop())
  }
}
