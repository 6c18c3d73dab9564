/**
 * The edge role: client doors in front of the cluster. It keeps nothing that cannot be lost: clients resume at any other
 * edge, commands are sent again until a worker has accepted them.
 *
 *   websocket → connection → dispatch → submissions ⇒ shard's command stream
 *   http ───────→ caller ───────┘
 *   edge's outbox ⇒ event-reader → subscriptions → connection → websocket
 */
import type { SubmissionRequest } from '../bus/command.js'
import type { ClientMessage } from '../protocol/commands.js'
import { ERRORS } from '../protocol/errors.js'
import type { ConnectedChannel } from '../telemetry/channel-metrics.js'
import type { ChannelMeter } from '../telemetry/metrics.js'
import { Authenticator, type Credentials, type Principal } from './auth.js'
import { CommandPath } from './command-path.js'
import { Connection, type ConnectionHandlers, type Dialect, type Socket } from './connection.js'
import { Connections } from './connections.js'
import { Denials } from './denials.js'
import type { EdgeDependencies } from './dependencies.js'
import type { Door, DoorVerdict } from './door.js'
import { doorOf } from './door-parts.js'
import { FeedLink } from './feed/feed-link.js'
import { handlersOf } from './http/answers.js'
import { HttpDoor } from './http/http.js'
import { TrafficMeter } from './http/traffic-meter.js'
import { Renewal } from './renewal.js'
import { Server } from './server.js'
import type { AuthSettings, LimitSettings } from './settings.js'
import type { Receiver } from './subscription.js'
import type { V2Parts } from './v2/parts.js'
import { TenantActivity } from './v2/tenant-activity.js'
import { MAX_FOLLOWED, QUIET_MS } from './v2/tenant-feed.js'
import { V2 } from './v2/v2.js'
import type { WebSocketHandlers } from './websocket.js'

const UNAUTHORIZED = 401

export class Edge {
  readonly #deps: EdgeDependencies
  readonly #authenticator: Authenticator
  readonly #connections: Connections
  readonly #door: Door
  readonly #denials: Denials
  readonly #path: CommandPath
  readonly #server: Server
  readonly #renewal: Renewal
  /** Clients inside this process: neither counted nor drained, they stop with it. */
  readonly #inside = new Set<Receiver>()
  /** One object for all connections that come by a channel: an idle one must cost little. */
  readonly #handlers: Readonly<Record<ConnectedChannel, ConnectionHandlers>>
  readonly #v2: V2
  /** For those who may say later who they are. */
  readonly #lateParts: V2Parts
  /** Whether what clients send is limited at all. */
  #isLimited: boolean
  #state: 'new' | 'running' | 'draining' | 'stopped' = 'new'

  constructor(deps: EdgeDependencies) {
    const { settings, log: trace } = deps
    const traffic = new TrafficMeter(deps.metrics)
    const { metrics } = traffic
    this.#deps = deps
    this.#isLimited = settings.limits.messages !== undefined
    this.#authenticator = new Authenticator(settings.auth, trace)
    this.#connections = new Connections(settings.heartbeatIntervalMs, metrics)
    this.#door = doorOf(deps, this.#authenticator)
    this.#denials = new Denials(deps.audit)
    this.#path = new CommandPath({
      ...{ deps, metrics, authenticator: this.#authenticator },
      onDenied: (principal, what) => this.#denials.access(principal, what),
      onRenewed: (client) => {
        if (client instanceof Connection) this.#connections.watchExpiry(client)
      },
    })
    this.#lateParts = this.#openLateParts(traffic)
    this.#v2 = new V2(this.#lateParts)
    this.#handlers = this.#handlersBy((name) => metrics.channel(name))
    const handlers: WebSocketHandlers = {
      admit: (credentials, by) => this.#admit(credentials, by),
      onOpen: (socket, principal, by) => this.#opened(socket, principal, by),
      onClose: (connection) => this.#closed(connection),
      trace,
    }
    const http = this.#openHttp(traffic)
    metrics.watch({
      subscriptions: () => this.#path.subscriptions.size,
      waiting: () => this.#path.waiting,
      requests: () => http.open,
    })
    this.#server = new Server(settings, handlers, {
      takeRequest: (res, req) => http.handle(res, req),
      pages: deps.pages,
    })
    const [authenticator, connections, server] = [this.#authenticator, this.#connections, this.#server]
    this.#renewal = new Renewal({ authenticator, connections, server, certificate: settings.certificate, trace })
  }

  /** The port it listens on. */
  get port(): number {
    return this.#server.port
  }

  /** Open client connections: the load of an edge. */
  get connections(): number {
    return this.#connections.size
  }

  /** @throws Error when the port is taken, or whatever the bus throws when it cannot be reached. */
  async start(): Promise<void> {
    if (this.#authenticator.localOnly) {
      const advice = 'set DAEMON_JWT_SECRET, DAEMON_JWKS_URL or DAEMON_AUTH_API_KEYS to let others in'
      this.#deps.log.warn({}, `no secret is set: only clients on this machine may connect; ${advice}`)
    }
    await this.#path.start(this.#deps.id)
    this.#connections.start()
    this.#door.start()
    await this.#authenticator.start()
    this.#denials.start()
    try {
      await this.#server.listen()
    } catch (error) {
      await this.stop()
      throw error
    }
    this.#renewal.start()
    this.#state = 'running'
    this.#deps.log.info({ host: this.#deps.settings.host, port: this.port }, 'the edge takes connections')
  }

  /** From now on clients may ask for so much. Connections that are there stay. */
  limitClients(limits: LimitSettings): void {
    this.#isLimited = limits.messages !== undefined
    this.#door.adopt(limits, this.#connections.all())
  }

  /** Whether clients must show a credential. */
  get isLocked(): boolean {
    return !this.#authenticator.localOnly
  }

  /** Sessions that somebody watches here. */
  watchedSessions(): readonly string[] {
    return this.#path.subscriptions.sessions().filter((sessionId) => this.watchersOf(sessionId) > 0)
  }

  /** Clients that watch the session here. */
  watchersOf(sessionId: string): number {
    return this.#path.subscriptions.watchersOf(sessionId).filter((watcher) => !this.#inside.has(watcher)).length
  }

  /** Lets a client of this same process in, past the lock; from then on it is served like any other. */
  enter(socket: Socket, principal: Principal): Connection {
    const connection = new Connection(socket, principal, this.#handlers.inside)
    connection.meter.opened(1)
    this.#inside.add(connection)
    return connection
  }

  /** The end of a client that entered. */
  leave(connection: Connection): void {
    this.#inside.delete(connection)
    this.#ended(connection)
  }

  /** Brings a command of this process to its worker. Resolves with the frame that a client would get. Never rejects. */
  bring(command: Omit<SubmissionRequest, 'fresh'>, traceparent?: string): Promise<string> {
    return this.#path.bring(command, traceparent)
  }

  /**
   * Takes up who may come in from now on, and the certificate as it stands in its files; one call after the other. Open
   * connections stay, but for those whose API key or secret is gone.
   * @throws Error with one sentence when there is something wrong with either; the other may have been taken up
   */
  reload(auth: AuthSettings): Promise<void> {
    return this.#renewal.reload(auth)
  }

  /** Takes no new clients and sends the present ones to other edges, within the shutdown timeout. May be repeated. */
  async drain(): Promise<void> {
    if (this.#state !== 'running') return
    this.#state = 'draining'
    this.#server.stopListening()
    await this.#connections.drain(this.#deps.settings.shutdownTimeoutMs)
  }

  /** Drains, then ends. May be called twice. */
  async stop(): Promise<void> {
    await this.drain()
    if (this.#state === 'stopped') return
    this.#state = 'stopped'
    this.#renewal.stop()
    this.#server.close()
    this.#connections.stop()
    this.#door.stop()
    this.#authenticator.stop()
    this.#denials.stop()
    await this.#path.stop()
  }

  #openLateParts(traffic: TrafficMeter): V2Parts {
    const { settings, events, sessions, v2, audit, log: trace } = this.#deps
    const { dispatch, directory } = this.#path
    return {
      ...{ dispatcher: dispatch, authenticator: this.#authenticator, directory, events, rows: sessions, traffic },
      introduce: (connection, principal) => this.#introduced(connection, principal),
      renewed: (connection) => this.#connections.watchExpiry(connection),
      isLimited: () => this.#isLimited,
      settings,
      ...{ connections: () => this.connections, sources: v2, audit, trace },
      activity: new TenantActivity((tenant) => v2.activity.recent(tenant, QUIET_MS, MAX_FOLLOWED + 1), trace),
    }
  }

  #openHttp(traffic: TrafficMeter): HttpDoor {
    const { settings, log: trace } = this.#deps
    const { dispatch, directory } = this.#path
    return new HttpDoor({
      handlers: handlersOf({ deps: this.#deps, directory, traffic, connections: () => this.connections }),
      dispatcher: dispatch,
      identify: (credentials) => this.#noted(this.#door.identify(credentials)),
      onForbidden: (principal, action) => this.#denials.access(principal, action),
      enter: (principal) => this.#door.enter(principal),
      admit: (credentials) => this.#admit(credentials, 'events'),
      onOpen: (socket, principal) => this.#opened(socket, principal, 'events'),
      ...{ onClose: (connection: Connection) => this.#closed(connection), trace },
      maxBodyBytes: settings.maxPayloadBytes,
      corsOrigins: settings.corsOrigins,
      onServed: (method, path, status, seconds) => traffic.metrics.served(method, path, status, seconds),
    })
  }

  /** Where a credential may come later, having none is no reason to stay outside. */
  #admit(credentials: Credentials, by: ConnectedChannel): DoorVerdict {
    const verdict = this.#door.admit(credentials)
    const isLate = by === 'v2' || by === 'feed'
    const isGuest = isLate && !verdict.ok && verdict.reason === 'credentials_missing' && this.isLocked
    const final = isGuest ? this.#door.admitGuest(credentials) : verdict
    if (!final.ok) this.#handlers[by].metrics.failed(final.reason)
    return this.#noted(final)
  }

  #noted(verdict: DoorVerdict): DoorVerdict {
    if (verdict.ok) return verdict
    if (ERRORS[verdict.reason].http === UNAUTHORIZED) this.#denials.credential(verdict.reason, verdict.address)
    return verdict
  }

  #opened(socket: Socket, principal: Principal, by: ConnectedChannel): Connection {
    const connection = new Connection(socket, principal, this.#handlers[by], this.#door.allowanceOf(principal))
    connection.meter.opened(1)
    if (by === 'v2') connection.speak(this.#v2.expect(connection))
    if (by === 'feed') connection.speak(new FeedLink(connection, this.#lateParts))
    this.#connections.add(connection)
    this.#door.opened(connection)
    return connection
  }

  #handlersBy(
    meterOf: (channel: ConnectedChannel) => ChannelMeter,
  ): Readonly<Record<ConnectedChannel, ConnectionHandlers>> {
    const { dispatch, subscriptions } = this.#path
    const shared = {
      onMessage: (sender: Connection, message: ClientMessage) => dispatch.handle(sender, message),
      onRoom: (reader: Connection) => subscriptions.roomAgain(reader),
    }
    // Raw WebSockets may come to speak another protocol.
    const raw = { ...shared, dialectOf: (connection: Connection, frame: string) => this.#begin(connection, frame) }
    const plain = (name: ConnectedChannel) => ({ ...shared, metrics: meterOf(name) })
    const late = (name: ConnectedChannel) => ({ ...raw, metrics: meterOf(name) })
    return {
      ...{ websocket: late('websocket'), v2: late('v2'), feed: late('feed') },
      ...{ 'socket.io': plain('socket.io'), events: plain('events'), inside: plain('inside') },
    }
  }

  /** From the frame that begins the second protocol on, a connection counts as one that speaks it. */
  #begin(connection: Connection, frame: string): Dialect | undefined {
    const dialect = this.#v2.begin(connection, frame)
    if (!dialect) return undefined
    connection.meter.opened(-1)
    connection.meter = this.#handlers.v2.metrics
    connection.meter.opened(1)
    return dialect
  }

  #introduced(connection: Connection, principal: Principal): void {
    this.#door.introduce(connection, principal)
    this.#connections.watchExpiry(connection)
  }

  #closed(connection: Connection): void {
    this.#connections.remove(connection)
    this.#door.closed(connection)
    this.#ended(connection)
  }

  #ended(connection: Connection): void {
    connection.closed()
    connection.meter.opened(-1)
    this.#path.forget(connection)
  }
}
