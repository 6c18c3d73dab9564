/**
 * The composition root: the only place that knows which implementation stands behind each interface. Starts the parts
 * of a role from the ground up and stops them in reverse.
 *
 *   database ▶ bus ▶ membership ▶ worker ▶ coordinator ▶ edge ▶ admin server
 */
import { Lifecycle } from './assembly/lifecycle.js'
import { type Cause, LiveSettings, type Reloaded } from './assembly/live-settings.js'
import { Monitoring } from './assembly/monitoring.js'
import { levelOf } from './assembly/node-log.js'
import { NodeParts } from './assembly/node-parts.js'
import type { NodeWords } from './assembly/node-words.js'
import { type ClusterPlane, type Foundation, openPlanes, type Planes } from './assembly/planes.js'
import { settingsDesk, settingsNote } from './assembly/settings-desk.js'
import type { BudgetDesk } from './budget/budget-desk.js'
import type { Charter } from './charter/schema.js'
import type { ControlMessage } from './cluster/cluster.js'
import type { Config } from './config/load.js'
import type { HibernateJob } from './coordinator/jobs/hibernate.js'
import type { Edge } from './edge/edge.js'
import type { Federation } from './federation/federation.js'
import { newNodeId } from './protocol/ids.js'
import { SERVICE_CHAIN } from './storage/audit-log.js'
import type { Log } from './telemetry/log.js'
import type { LogLevelSwitch } from './telemetry/log-level.js'
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

export class Daemon {
  readonly #foundation: Foundation
  readonly #monitoring: Monitoring
  readonly #lifecycle: Lifecycle
  readonly #settings: LiveSettings
  #planes: Planes | undefined
  #worker: Worker | undefined
  #budgets: BudgetDesk | undefined
  #hibernateJob: HibernateJob | undefined
  #edge: Edge | undefined
  #federation: Federation | undefined
  #draining = false

  constructor(private readonly options: DaemonOptions) {
    const { config, log, logLevel } = options
    this.#lifecycle = new Lifecycle(log, config.server.shutdownTimeoutMs, options.onStarted)
    this.#settings = new LiveSettings(config, log)
    this.#settings.onChanged((now, before) => this.#turnLog(now, before))
    const node = newNodeId(config.server.name)
    this.#settings.onAdopted((adopted) => this.#planes?.audit.add(settingsNote(node, adopted)))
    this.#foundation = { config, settings: this.#settings, node, version: VERSION, log, lifecycle: this.#lifecycle }
    this.#monitoring = new Monitoring(this.#foundation, { logLevel, onLevelChanged: (level) => this.#noteLevel(level) })
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
    return this.#monitoring.port ?? (this.#monitoring.sharesPort ? this.#edge?.port : undefined)
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
    this.#monitoring.health.setReadiness({ ready: false, message: 'draining' })
    await this.#lifecycle.stop()
    this.#monitoring.metrics.stop()
  }

  async #start(): Promise<void> {
    const { config, log, node } = this.#foundation
    this.#monitoring.metrics.start()
    for (const warning of config.warnings) log.warn({}, warning)
    const { role, environment } = config.server
    const parts = await this.#openParts()
    if (role === 'worker' || role === 'all') await this.#startWorker(parts)
    const { cluster } = parts.planes
    if (!cluster) await this.#startJobs(parts)
    else if (role === 'coordinator' || role === 'all') await this.#startCoordinator(parts, cluster)
    if (role === 'edge' || role === 'all') await this.#startEdge(parts)
    await this.#monitoring.start()
    this.#monitoring.health.setReadiness({ ready: true, message: 'ready' })
    log.info({ node, port: this.port, metricsPort: this.metricsPort, environment }, 'ready')
  }

  /** The ground of all roles. A coordinator has no sessions, so neither a charter nor spans. */
  async #openParts(): Promise<NodeParts> {
    const foundation = this.#foundation
    const { metrics, health } = this.#monitoring
    const isCoordinator = foundation.config.server.role === 'coordinator'
    // Before anything else: a node whose charter is wrong does not start.
    const charter = isCoordinator ? undefined : await this.#readCharter()
    const tracing = isCoordinator ? undefined : await this.#monitoring.openTracing()
    const planes = await openPlanes(foundation, { health, words: this.#words(), onDead: this.options.onDead })
    this.#planes = planes
    return new NodeParts({ foundation, planes, metrics, tracing, charter })
  }

  async #readCharter(): Promise<Charter> {
    const { charterOf } = await import('./assembly/charter-parts.js')
    return charterOf(this.options.config, this.options.log)
  }

  // Each role is loaded when it starts: an edge needs no vendor's SDK, and a worker no sockets.
  async #startWorker(parts: NodeParts): Promise<void> {
    const { startWorker } = await import('./assembly/worker-role.js')
    const { worker, budgets } = await startWorker(parts)
    this.#worker = worker
    this.#budgets = budgets
  }

  async #startCoordinator(parts: NodeParts, cluster: ClusterPlane): Promise<void> {
    const { startCoordinator } = await import('./assembly/coordinator-role.js')
    this.#hibernateJob = await startCoordinator(parts, cluster)
  }

  async #startJobs(parts: NodeParts): Promise<void> {
    const { startJobs } = await import('./assembly/coordinator-role.js')
    await startJobs(parts)
  }

  async #startEdge(parts: NodeParts): Promise<void> {
    const { startEdge } = await import('./assembly/edge-role.js')
    const { logLevel, onSpawned } = this.options
    const pages = this.#monitoring.sharesPort ? this.#monitoring.pages : undefined
    const settings = settingsDesk(this.#settings, logLevel)
    const { edge, federation } = await startEdge(parts, { pages, budgets: this.#budgets, settings, onSpawned })
    this.#edge = edge
    this.#federation = federation
  }

  #words(): NodeWords {
    return {
      drain: () => this.#drain(),
      hibernate: ({ request, asker }, answer) => void this.#hibernate(request, (done) => answer(asker, done)),
      hibernated: ({ request, node }) => this.#hibernateJob?.acknowledged(node, request),
    }
  }

  async #hibernate(request: string, answer: (done: ControlMessage) => Promise<void>): Promise<void> {
    const { node, log } = this.#foundation
    await this.#worker?.hibernateIdle()
    await answer({ type: 'hibernated', request, node }).catch((error: unknown) => {
      log.warn({ err: error }, 'the leader could not be answered; it asks again')
    })
  }

  #drain(): void {
    if (this.#draining) return
    this.#draining = true
    this.#foundation.log.info({}, 'an operator drains this node')
    this.options.onDrain?.()
  }

  /** A level that an operator has turned stays, unless the settings name another one than before. */
  #turnLog(now: Config, before: Config): void {
    if (levelOf(now) !== levelOf(before)) this.options.logLevel?.configure(levelOf(now))
    this.options.onReloaded?.(now)
  }

  /** Whoever asks is at this machine: more is not known of them. */
  #noteLevel(level: string): void {
    const note = { tenant: SERVICE_CHAIN, actor: 'operator', action: 'log.level', sessionId: undefined }
    this.#planes?.audit.add({ ...note, subject: this.#foundation.node, detail: { level } })
  }
}
