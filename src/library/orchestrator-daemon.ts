/**
 * A node inside a program: the same node as `orchestrator-daemon start`, with methods and events instead of a command
 * line. Its methods go through the same door as every client's messages.
 *
 *   const daemon = new OrchestratorDaemon({ port: 8787 })
 *   daemon.on('task:completed', ({ result }) => console.log(result.output))
 *   await daemon.start()
 *   await daemon.spawnSession('my-orchestrator', 'count the lines of README.md')
 */
import { EventEmitter } from 'node:events'
import { inProcessSocket } from '../assembly/in-process-socket.js'
import { logLevelOf, openNodeLog } from '../assembly/node-log.js'
import type { BudgetDesk } from '../budget/budget-desk.js'
import { type Client, connect, type RoutedTask, type TaskEnd } from '../client/client.js'
import type { Config } from '../config/load.js'
import { Daemon } from '../daemon.js'
import type { Principal } from '../edge/auth.js'
import type { Edge } from '../edge/edge.js'
import type { Federation } from '../federation/federation.js'
import { ServiceError } from '../protocol/errors.js'
import { tenantSchema } from '../protocol/ids.js'
import type { DaemonStatus } from '../protocol/replies.js'
import type { Session, SessionOptions, SessionType, TaskInput } from '../protocol/session.js'
import type { Log } from '../telemetry/log.js'
import type { LogLevelSwitch } from '../telemetry/log-level.js'
import { type OrchestratorDaemonConfig, readDaemonConfig } from './daemon-config.js'
import { DaemonDoor } from './daemon-door.js'
import type { SessionEvents } from './session-events.js'
import { SessionManager } from './session-manager.js'

/** Events and the arguments of their listeners; those of sessions tell of what comes in at this node while it runs. */
export interface OrchestratorDaemonEvents extends SessionEvents {
  started: []
  stopped: []
  /** Every `DAEMON_HEALTH_CHECK_INTERVAL` ms. */
  healthCheck: [status: DaemonStatus]
  /** An answer to `routeTask`. */
  'task:routed': [routed: RoutedTask]
  /** The node cannot go on and has stopped. Without a listener this ends the process, as it should. */
  error: [error: Error]
}

export interface OrchestratorDaemonOptions {
  /** Default: as the settings say, to standard output. */
  readonly log?: Log
  /** Whose sessions the methods and events are about; default `local`, as of clients without a credential. */
  readonly tenant?: string
}

const LOCAL_TENANT = 'local'
/** Never resolved: the socket is in this process. */
const IN_PROCESS = 'ws://in-process'

interface Running {
  readonly daemon: Daemon
  readonly log: Log
  readonly client: Client | undefined
  readonly sessions: SessionManager | undefined
  readonly healthChecks: NodeJS.Timeout
}

export class OrchestratorDaemon extends EventEmitter<OrchestratorDaemonEvents> {
  readonly #config: Config
  readonly #options: OrchestratorDaemonOptions
  readonly #tenant: string
  readonly #logLevel: LogLevelSwitch
  #log: Log | undefined
  #running: Running | undefined
  /** Sessions that came in while the node was still starting; the door opens last, so they are few. */
  readonly #early: string[] = []
  #starting: Promise<void> | undefined
  #stopping: Promise<void> | undefined

  /** @throws ConfigError that lists everything that is wrong. */
  constructor(config: OrchestratorDaemonConfig = {}, options: OrchestratorDaemonOptions = {}) {
    super()
    this.#config = readDaemonConfig(config, process.env, process.cwd())
    this.#options = options
    this.#logLevel = logLevelOf(this.#config)
    this.#tenant = tenantSchema.parse(options.tenant ?? LOCAL_TENANT)
  }

  /** Port for clients; undefined while the node does not listen. */
  get port(): number | undefined {
    return this.#running?.daemon.port
  }

  get metricsPort(): number | undefined {
    return this.#running?.daemon.metricsPort
  }

  /** @throws ServiceError `unavailable` while the node does not run, or has no door for clients. */
  get sessionManager(): SessionManager {
    const sessions = this.#running?.sessions
    if (!sessions) throw this.#unavailable()
    return sessions
  }

  /** @throws ServiceError `unavailable` while the node does not run, or has no door for clients. */
  get webSocketServer(): DaemonDoor {
    const edge = this.#running?.daemon.edge
    if (!edge) throw this.#unavailable()
    return new DaemonDoor(this.#config.server.host, edge)
  }

  /** Resolves when clients may come; a second call waits for the same start. @throws what kept the node from starting. */
  start(): Promise<void> {
    this.#starting ??= this.#start().catch((error: unknown) => {
      this.#starting = undefined
      throw error
    })
    return this.#starting
  }

  /** Stops in bounded time, after which the process can end. May be called twice; then `start` works again. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop().finally(() => {
      this.#stopping = undefined
    })
    return this.#stopping
  }

  /** Whose sessions the methods and events are about. */
  get tenant(): string {
    return this.#tenant
  }

  /** What a `FederationCoordinator` speaks through. @throws ServiceError `unavailable` while there is none. */
  get federation(): Federation {
    const federation = this.#running?.daemon.federation
    if (federation) return federation
    if (this.#running?.client)
      throw new ServiceError('unavailable', { reason: 'this node has ENABLE_FEDERATION=false' })
    throw this.#unavailable()
  }

  /** What a `TokenTracker` speaks through. @throws ServiceError `unavailable` while there is none. */
  get budgets(): BudgetDesk {
    const budgets = this.#running?.daemon.budgets
    if (budgets) return budgets
    const reason = this.#running ? 'a node that runs no sessions has no budgets' : 'the daemon is not started'
    throw new ServiceError('unavailable', { reason })
  }

  /** Creates a session, which starts on its task at once. @throws ClientError when it is refused. */
  async spawnSession(
    orchestratorId: string,
    task: TaskInput,
    type?: SessionType,
    options?: SessionOptions,
  ): Promise<Session> {
    return this.sessionManager.spawnSession(orchestratorId, task, type, options)
  }

  /** Gives a session a task and waits for its end, be it good or bad. @throws ClientError when it is refused. */
  async executeTask(sessionId: string, task: TaskInput, context?: Readonly<Record<string, unknown>>): Promise<TaskEnd> {
    return this.sessionManager.executeTask(sessionId, task, context)
  }

  /** Where a session for this task would start now; nothing is created. */
  async routeTask(task: TaskInput): Promise<RoutedTask> {
    const routed = await this.#client().route(task)
    this.emit('task:routed', routed)
    return routed
  }

  /** Figures of the whole service. */
  async getStatus(): Promise<DaemonStatus> {
    return this.#client().status()
  }

  async #start(): Promise<void> {
    const log = this.#openLog()
    this.#early.length = 0
    const daemon = new Daemon({
      config: this.#config,
      log,
      ...(this.#options.log === undefined && { logLevel: this.#logLevel }),
      onDead: () => this.#died(),
      onSpawned: (sessionId, tenant) => {
        if (tenant === this.#tenant) this.#arrived(sessionId, log)
      },
    })
    await daemon.start()
    try {
      const client = daemon.edge && (await this.#enter(daemon.edge))
      const sessions = client && this.#sessionsOf(client)
      this.#running = { daemon, log, client, sessions, healthChecks: this.#checkHealth(client, log) }
    } catch (error) {
      await daemon.stop()
      throw error
    }
    for (const sessionId of this.#early.splice(0)) this.#arrived(sessionId, log)
    this.emit('started')
  }

  /** Once, however often the daemon starts: its file stays open. */
  #openLog(): Log {
    this.#log ??= this.#options.log ?? openNodeLog(this.#config, this.#logLevel).log
    return this.#log
  }

  async #stop(): Promise<void> {
    // A start that failed has cleaned up, and its caller knows.
    await this.#starting?.catch(() => undefined)
    const running = this.#running
    if (!running) return
    this.#running = undefined
    this.#starting = undefined
    clearInterval(running.healthChecks)
    running.client?.close()
    await running.daemon.stop()
    this.emit('stopped')
  }

  #enter(edge: Edge): Promise<Client> {
    const principal: Principal = { tenant: this.#tenant, subject: this.#tenant, role: 'admin', expiresAt: undefined }
    return connect({ url: IN_PROCESS, webSocket: inProcessSocket(edge, principal) })
  }

  #sessionsOf(client: Client): SessionManager {
    const sessions = new SessionManager(client)
    // The compiler cannot pair a name with its arguments inside a loop; both sides take them from the same table.
    const forward = (name: keyof SessionEvents): void => {
      sessions.on(name, ((about: unknown) => this.emit(name, about as never)) as never)
    }
    SESSION_EVENTS.forEach(forward)
    return sessions
  }

  /** A session came in. Looked at a little later: whoever spawned it here may be about to watch it anyway. */
  #arrived(sessionId: string, log: Log): void {
    setImmediate(() => {
      const sessions = this.#running?.sessions
      if (sessions === undefined) this.#early.push(sessionId)
      sessions
        ?.watchFromStart(sessionId)
        .catch((err: unknown) => log.warn({ err, sessionId }, 'a session cannot be watched'))
    })
  }

  #checkHealth(client: Client | undefined, log: Log): NodeJS.Timeout {
    let asking = false
    const check = async (): Promise<void> => {
      if (!client || asking) return
      asking = true
      const status = await client.status().catch((err: unknown) => log.warn({ err }, 'a health check had no answer'))
      asking = false
      if (status) this.emit('healthCheck', status)
    }
    return setInterval(() => void check(), this.#config.monitoring.healthCheckIntervalMs)
  }

  #died(): void {
    const error = new Error('the cluster has declared this node dead: another one does its work now')
    void this.stop().then(() => this.emit('error', error))
  }

  #client(): Client {
    const client = this.#running?.client
    if (!client) throw this.#unavailable()
    return client
  }

  #unavailable(): ServiceError {
    const { role } = this.#config.server
    const reason = this.#running ? `a node of role ${role} has no door for clients` : 'the daemon is not started'
    return new ServiceError('unavailable', { reason })
  }
}

const SESSION_EVENTS: readonly (keyof SessionEvents)[] = [
  'session:spawned',
  'session:running',
  'session:stopped',
  'session:completed',
  'session:failed',
  'session:metrics_updated',
  'task:executing',
  'task:completed',
  'task:failed',
  'task:cancelled',
]
