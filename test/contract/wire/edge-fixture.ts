/**
 * A real edge on a free port over the in-process bus, with a scripted worker behind it and raw clients in front.
 */
import { once } from 'node:events'
import { SignJWT } from 'jose'
import { afterEach, expect, vi } from 'vitest'
import WebSocket from 'ws'
import type { Bus, StoredEvent } from '../../../src/bus/bus.js'
import { createMemoryBus } from '../../../src/bus/memory-bus.js'
import type { LiveNode } from '../../../src/cluster/cluster.js'
import { UNCOUNTED } from '../../../src/edge/connection.js'
import type { AuditNote, EdgeLog, TaskFederation, TaskScheduling } from '../../../src/edge/dependencies.js'
import { Edge } from '../../../src/edge/edge.js'
import type { HttpSources } from '../../../src/edge/http/sources.js'
import type {
  ApprovalDecisions,
  EventRows,
  NewSessionRow,
  Reserved,
  SessionRow,
  SessionRows,
} from '../../../src/edge/rows.js'
import type { AuthSettings, EdgeSettings, LimitSettings } from '../../../src/edge/settings.js'
import type { SharedLimits } from '../../../src/edge/shared-counts.js'
import type { V2Sources } from '../../../src/edge/v2/sources.js'
import { ServiceError } from '../../../src/protocol/errors.js'
import { type EventId, type NodeId, newNodeId, parseEventId, type SessionId } from '../../../src/protocol/ids.js'
import type { EdgeMetrics } from '../../../src/telemetry/metrics.js'
import { ScriptedWorker } from './scripted-worker.js'

export const SECRET = 'a-secret-of-at-least-thirty-two-characters'
export const AUTH: AuthSettings = {
  secret: SECRET,
  apiKeys: [],
  mode: 'both',
  allowLoopback: false,
  issuer: 'wundr-orchestrator',
  audience: 'wundr-daemon',
  tokenLifetimeMs: 3_600_000,
}
/** Tests that are not about limits never reach them. */
export const WIDE_LIMITS: LimitSettings = {
  messages: { max: 1_000_000, windowMs: 60_000 },
  connections: { perPrincipal: 1_000, perEdge: 10_000 },
}
const SHARDS = 4
const ARRIVAL = { timeout: 20_000, interval: 5 } as const

export type Frame = Readonly<Record<string, unknown>>

/** Rows of the tests: what Postgres does, in a map. */
export class RowsInMemory implements SessionRows {
  readonly rows = new Map<SessionId, SessionRow & { idemKey: string | undefined; bodyHash: string }>()

  async reserve(row: NewSessionRow): Promise<Reserved> {
    const { idemKey } = row
    const held = [...this.rows.values()].find(
      (it) => idemKey !== undefined && it.tenant === row.tenant && it.idemKey === idemKey,
    )
    if (held) return { status: held.bodyHash === row.bodyHash ? 'existing' : 'conflict', id: held.id }
    const fresh = { submitted: false, snapshot: null, status: 'initializing' as const, createdAt: new Date() }
    this.rows.set(row.id, { ...row, ...fresh, idemKey })
    return { status: 'new', id: row.id }
  }

  async releaseKey(id: SessionId): Promise<void> {
    const row = this.rows.get(id)
    if (row) this.rows.set(id, { ...row, idemKey: undefined })
  }

  async find(id: SessionId): Promise<SessionRow | undefined> {
    return this.rows.get(id)
  }

  async listByTenant(
    tenant: string,
    { limit, owner }: { limit: number; owner?: string | undefined },
  ): Promise<{ sessions: SessionRow[] }> {
    const fits = (row: SessionRow): boolean => row.tenant === tenant && (owner === undefined || row.owner === owner)
    return { sessions: [...this.rows.values()].filter(fits).slice(0, limit) }
  }

  async countByTenant(tenant: string, { owner }: { owner?: string | undefined }): Promise<number> {
    return (await this.listByTenant(tenant, { limit: this.rows.size, owner })).sessions.length
  }

  async markSubmitted(id: SessionId): Promise<void> {
    const row = this.rows.get(id)
    if (row) this.rows.set(id, { ...row, submitted: true })
  }
}

/** Events that the projection has written. */
export class EventsInMemory implements EventRows {
  readonly stored = new Map<SessionId, StoredEvent[]>()

  async page(id: SessionId, after: EventId, upTo: EventId | undefined, limit: number): Promise<StoredEvent[]> {
    const inside = (seq: number): boolean => seq > after.seq && (upTo === undefined || seq <= upTo.seq)
    return (this.stored.get(id) ?? []).filter(({ eventId }) => inside(seqOf(eventId))).slice(0, limit)
  }

  async contains(id: SessionId, event: EventId): Promise<boolean> {
    return (this.stored.get(id) ?? []).some(({ eventId }) => eventId === `${event.epoch}-${event.seq}`)
  }

  async last(id: SessionId): Promise<EventId | undefined> {
    return parseEventId(this.stored.get(id)?.at(-1)?.eventId ?? '')
  }
}

const seqOf = (eventId: string): number => parseEventId(eventId)?.seq ?? Number.NaN

export interface Fixture {
  readonly id: NodeId
  readonly edge: Edge
  readonly bus: Bus
  readonly worker: ScriptedWorker
  readonly rows: RowsInMemory
  readonly events: EventsInMemory
  readonly url: string
  /** Frames that the edge has given to the network so far. */
  framesSent(): number
  /** A connected client that has had its greeting. */
  client(options?: { token?: string; headers?: Record<string, string> }): Promise<RawClient>
}

const cleanups: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

export interface EdgeOptions {
  readonly settings?: Partial<EdgeSettings>
  readonly auth?: AuthSettings
  /** Where several edges count together; default each for itself. */
  readonly sharedLimits?: SharedLimits
  readonly log?: Partial<EdgeLog>
  readonly federation?: TaskFederation
  /** Everything may be answered when left out. */
  readonly approvals?: ApprovalDecisions
  readonly scheduling?: TaskScheduling
  /** Nothing is there when left out. */
  readonly http?: Partial<HttpSources>
  readonly v2?: Partial<V2Sources>
  /** Nothing is counted when left out. */
  readonly metrics?: EdgeMetrics
  /** Told of every note for the audit log. */
  readonly onNoted?: (note: AuditNote) => void
  /** Ids of edges that live beside this one. */
  readonly others?: () => readonly NodeId[]
  /** Workers that have said how many sessions they have and may have. */
  readonly workers?: readonly LiveNode['load'][]
  /** A cluster that stands already; default a new one. */
  readonly cluster?: Cluster
}

const nothingScheduled: TaskScheduling = {
  schedule: async () => Promise.reject(new ServiceError('unavailable', { reason: 'this edge schedules nothing' })),
  list: async () => [],
  cancel: async (_holder, scheduleId) => ({
    ...{ scheduleId, taskId: 't', sessionId: null, description: 'x', priority: 'medium', state: 'cancelled' },
    ...{ waitingFor: [], since: new Date().toISOString(), position: 0, nextRunAt: null, runs: 0, missed: 0 },
  }),
  cancelTask: async () => undefined,
}

const nothingKept: HttpSources = {
  idleSessions: async () => [],
  turns: async () => ({ turns: [] }),
  artifacts: { page: async () => ({ artifacts: [] }), find: async () => undefined, content: async () => undefined },
  budgets: {
    uses: async () => [],
    report: async () => Promise.reject(new ServiceError('unavailable', { reason: 'this edge has no ledger' })),
  },
  memory: { search: async () => [], page: async () => [] },
  audit: async () => [],
  charter: () => ({ name: 'test' }),
  cluster: { leader: async () => undefined, assignments: async () => [], loads: async () => new Map() },
}

const nothingElse: V2Sources = {
  memory: { search: async () => [], store: async () => ({ id: 'mem_1' }), forget: async () => 0 },
  swarm: async () => undefined,
  activity: { recent: async () => ({ at: new Date(), sessions: [] }), lastBefore: async () => undefined },
  settings: { read: () => new Map(), change: async () => ({ applied: [], needRestart: [], changes: [] }) },
}

export type Cluster = Pick<Fixture, 'bus' | 'worker' | 'rows' | 'events'>

export async function startEdge(options: EdgeOptions = {}): Promise<Fixture> {
  const { bus, worker, rows, events } = options.cluster ?? (await startCluster())
  let sent = 0
  const id = newNodeId('edge')
  const nodes = (): LiveNode[] => [
    ...(options.others?.() ?? []).map((other) => liveNode(other, 'edge')),
    ...(options.workers ?? []).map((load) => ({ ...liveNode(newNodeId('worker'), 'worker'), load })),
  ]
  const edge = new Edge({
    id,
    settings: settingsWith(options.settings, options.auth),
    bus,
    view: { nodes, owners: () => new Map(), shardCount: SHARDS },
    approvals: options.approvals ?? { decide: async () => ({ status: 'decided' }), list: async () => [] },
    ...(options.onNoted && { audit: { add: options.onNoted } }),
    sessions: rows,
    events,
    status: {
      totals: async () => ({
        totalSessionsSpawned: rows.rows.size,
        totalTasksProcessed: 0,
        totalTokensUsed: 0,
        averageSessionDuration: 0,
        activeSessions: 0,
        successRate: 1,
      }),
      subsystems: async () => ({ bus: { status: 'running', lastCheck: new Date().toISOString() } }),
    },
    log: { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn(), ...options.log },
    sharedLimits: options.sharedLimits,
    federation: options.federation,
    scheduling: options.scheduling ?? nothingScheduled,
    http: { ...nothingKept, ...options.http },
    v2: { ...nothingElse, ...options.v2 },
    metrics: options.metrics ?? {
      connections: vi.fn(),
      channel: () => ({
        ...UNCOUNTED,
        sent: (frames) => {
          sent += frames.length
        },
      }),
      submitted: vi.fn(),
      accepted: vi.fn(),
      busy: vi.fn(),
      dropped: vi.fn(),
      served: vi.fn(),
      watch: vi.fn(),
    },
  })
  await edge.start()
  cleanups.push(() => edge.stop())
  const url = `ws://127.0.0.1:${edge.port}`
  return {
    id,
    edge,
    bus,
    worker,
    rows,
    events,
    url,
    framesSent: () => sent,
    client: (about = {}) => openClient(url, about),
  }
}

const liveNode = (id: NodeId, role: LiveNode['role']): LiveNode => ({
  id,
  role,
  version: '2.0.0',
  weight: 1,
  load: { busy: 0, capacity: 0, queued: 0 },
  beatAt: 0,
  status: 'live',
  lagMs: 0,
})

/** A worker behind a bus, which is stopped with it; default an in-process one. */
export async function startCluster(given?: Bus): Promise<Cluster> {
  const bus = given ?? (await createMemoryBus())
  const worker = new ScriptedWorker(bus)
  await worker.start(SHARDS)
  cleanups.push(async () => {
    await worker.stop()
    await bus.stop()
  })
  return { bus, worker, rows: new RowsInMemory(), events: new EventsInMemory() }
}

function settingsWith(settings: Partial<EdgeSettings> = {}, auth: AuthSettings | undefined): EdgeSettings {
  return {
    name: 'orchestrator-daemon',
    version: '2.0.0',
    host: '127.0.0.1',
    port: 0,
    healthPath: '/health',
    maxPayloadBytes: 1024 * 1024,
    heartbeatIntervalMs: 30_000,
    shutdownTimeoutMs: 2_000,
    placement: 'least-loaded',
    auth: auth ?? { ...AUTH, secret: undefined },
    limits: WIDE_LIMITS,
    ...settings,
  }
}

async function openClient(
  url: string,
  { token, headers = {} }: { token?: string; headers?: Record<string, string> },
): Promise<RawClient> {
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const client = new RawClient(new WebSocket(url, { headers: { ...authorization, ...headers } }))
  cleanups.push(async () => client.socket.terminate())
  await client.next((frame) => frame.type === 'health_check_response')
  client.frames.length = 0
  return client
}

/** A client that keeps every frame it gets. */
export class RawClient {
  readonly frames: Frame[] = []
  closed: { code: number; reason: string } | undefined
  #answered = 0

  constructor(readonly socket: WebSocket) {
    socket.on('message', (data) => this.frames.push(JSON.parse(String(data)) as Frame))
    socket.on('close', (code, reason) => {
      this.closed = { code, reason: String(reason) }
    })
    socket.on('error', () => {
      // The close that follows tells the tests what they ask for.
    })
  }

  send(message: object | string): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message))
  }

  /** The first frame, past or future, that fits. */
  async next(fits: (frame: Frame) => boolean): Promise<Frame> {
    const seen = (): Frame | undefined => this.frames.find(fits)
    await vi.waitFor(() => expect(seen(), `none fits among ${JSON.stringify(this.frames)}`).toBeDefined(), ARRIVAL)
    return seen() ?? {}
  }

  type(type: string): Promise<Frame> {
    return this.next((frame) => frame.type === type)
  }

  /** Sends a message and returns the frame that answers it. */
  ask(message: Frame): Promise<Frame> {
    this.#answered += 1
    const requestId = `ask-${this.#answered}`
    this.send({ ...message, requestId })
    return this.next((frame) => frame.requestId === requestId)
  }

  /** Spawns a session and returns its id once it is active. */
  async spawn(payload: Frame = {}): Promise<SessionId> {
    const spawned = await this.ask({
      type: 'spawn_session',
      payload: { task: 'wait', sessionType: 'echo', ...payload },
    })
    expect(spawned.type).toBe('session_spawned')
    return String(spawned.sessionId)
  }

  /** Ids of the logged events of a session, in the order of arrival. */
  eventIds(sessionId: SessionId): string[] {
    return this.frames
      .filter((it) => it.sessionId === sessionId && it.eventId && it.timestamp)
      .map((it) => String(it.eventId))
  }

  /** Text of each message, asserting that its chunks came contiguous and once. */
  texts(sessionId: SessionId): Map<string, string> {
    const texts = new Map<string, string>()
    for (const frame of this.frames) {
      const data = frame.data as { sessionId: string; messageId: string; offset: number; chunk: string } | undefined
      if (frame.type !== 'stream_chunk' || data?.sessionId !== sessionId) continue
      const before = texts.get(data.messageId) ?? ''
      expect(data.offset, 'chunks are contiguous').toBe(Buffer.byteLength(before))
      texts.set(data.messageId, before + data.chunk)
    }
    return texts
  }

  async close(): Promise<void> {
    if (this.socket.readyState === WebSocket.CLOSED) return
    this.socket.close()
    await once(this.socket, 'close')
  }
}

/** A token as the reference's issuer signs them, unless `claims` says otherwise. */
export function token(claims: Record<string, unknown> = {}, secret = SECRET): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  const { issuer: iss, audience: aud } = AUTH
  const payload = { sub: 'alice', iss, aud, iat: now, exp: now + 3600, ...claims }
  return new SignJWT(payload).setProtectedHeader({ alg: 'HS256' }).sign(new TextEncoder().encode(secret))
}
