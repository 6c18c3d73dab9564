/**
 * Reads what Redis and Postgres hold in the end into lines of the log journal. It has connections of its own: what is
 * checked must not be what it is read with.
 *
 * Redis first: an event that leaves Redis meanwhile is in Postgres by then.
 */
import { Cluster, Redis } from 'ioredis'
import pg from 'pg'
import type { LoggedEvent } from '../protocol/events.js'
import { formatEventId } from '../protocol/ids.js'
import { laneKeys } from '../redis/keys.js'
import { fingerprint } from './fingerprint.js'
import type { LogLine } from './journal.js'

export interface LogSources {
  readonly databaseUrl: string
  /** A single server, or the nodes of a Redis Cluster as `host:port`. */
  readonly redis: { readonly url: string } | { readonly nodes: readonly string[] }
  /** CLUSTER_NAME. */
  readonly cluster: string
}

/** Keys or rows of one round trip. */
const PAGE_KEYS = 200
const PAGE_EVENTS = 1_000
const PAGE_ROWS = 5_000
/** What the key of a session's log ends with. */
const LOG = ':log'

/** All lines, Redis's first. @throws the error of a store that cannot be read. */
export async function* readLogs(sources: LogSources): AsyncGenerator<readonly LogLine[], void> {
  yield* readRedis(sources)
  yield* readPostgres(sources.databaseUrl)
}

async function* readRedis({ redis, cluster }: LogSources): AsyncGenerator<readonly LogLine[], void> {
  const client = 'url' in redis ? new Redis(redis.url) : new Cluster(redis.nodes.map(address))
  // Failing commands tell enough; without a listener ioredis prints what it meets.
  client.on('error', () => undefined)
  try {
    if (client instanceof Cluster) await client.ping()
    const servers = client instanceof Cluster ? client.nodes('master') : [client]
    for (const server of servers) yield* readServer(server, cluster)
  } finally {
    client.disconnect()
  }
}

const address = (node: string) => {
  const [host = '127.0.0.1', port] = node.split(':')
  return { host, port: Number(port) }
}

async function* readServer(server: Redis, cluster: string): AsyncGenerator<readonly LogLine[], void> {
  const seen = new Set<string>()
  const literally = cluster.replaceAll(/[\\?*[\]]/g, '\\$&')
  const pattern = `${laneKeys(literally, '*').session('*')}${LOG}`
  for await (const page of server.scanStream({ match: pattern, count: PAGE_KEYS })) {
    // A scan may name a key twice.
    const keys = (page as string[]).filter((key) => !seen.has(key))
    for (const key of keys) seen.add(key)
    const logs = await Promise.all(keys.map((key) => readLog(server, key)))
    if (logs.length > 0) yield logs.flat()
  }
}

async function readLog(server: Redis, key: string): Promise<LogLine[]> {
  const session = key.slice(key.lastIndexOf(':', key.length - LOG.length - 1) + 1, -LOG.length)
  const lines: LogLine[] = []
  for (let after = '-'; ; ) {
    const entries = await server.xrange(key, after, '+', 'COUNT', PAGE_EVENTS)
    for (const [id, [, body = '']] of entries) lines.push(logLine('redis', session, id, body))
    const last = entries.at(-1)
    if (!last || entries.length < PAGE_EVENTS) return lines
    after = `(${last[0]}`
  }
}

interface Row {
  readonly session_id: string
  readonly epoch: string
  readonly seq: string
  readonly body: string
}

async function* readPostgres(url: string): AsyncGenerator<readonly LogLine[], void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    for (let last: Row | undefined; ; ) {
      const after: readonly unknown[] = last ? [last.session_id, last.epoch, last.seq] : ['', 0, 0]
      // Index events_pkey.
      const { rows }: pg.QueryResult<Row> = await client.query(
        `select session_id, epoch, seq, body::text as body from events
         where (session_id, epoch, seq) > ($1, $2::bigint, $3::bigint)
         order by session_id, epoch, seq limit ${PAGE_ROWS}`,
        [...after],
      )
      if (rows.length > 0) yield rows.map(ofPostgres)
      last = rows.at(-1)
      if (rows.length < PAGE_ROWS) return
    }
  } finally {
    await client.end()
  }
}

const ofPostgres = ({ session_id, epoch, seq, body }: Row): LogLine =>
  logLine('postgres', session_id, formatEventId(Number(epoch), Number(seq)), body)

/** The line of one stored event; a body that is no JSON gets a line that fits no rule. */
export function logLine(store: LogLine['store'], session: string, event: string, body: string): LogLine {
  const content = parsed(body)
  return {
    kind: 'log',
    store,
    session,
    event,
    type: content.type,
    hash: fingerprint(body),
    ...(content.eventId !== event && { named: content.eventId }),
    ...commandOf(content),
    ...detailsOf(content),
  }
}

function parsed(body: string): LoggedEvent {
  try {
    return JSON.parse(body) as LoggedEvent
  } catch {
    return { type: 'no JSON', eventId: 'none' } as never
  }
}

/** One id stands for the command, its task and its request. */
function commandOf(event: LoggedEvent): Pick<LogLine, 'command'> {
  const id = 'taskId' in event ? event.taskId : event.requestId
  return id === undefined ? {} : { command: String(id) }
}

function detailsOf(event: LoggedEvent): Partial<LogLine> {
  switch (event.type) {
    case 'stream_start':
      return { message: event.messageId }
    case 'stream_end':
      return { message: event.messageId, bytes: Buffer.byteLength(event.text), text: fingerprint(event.text) }
    case 'tool_call_start':
      return { call: event.data.callId, effect: event.data.effect }
    case 'tool_call_result':
      return { call: event.data.callId }
    case 'task_failed':
      return { code: event.code }
    case 'session_status_update':
      return { status: event.session.status }
    case 'session_takeover':
      return { from: event.fromWorker, to: event.worker, attempt: event.attempt }
    default:
      return {}
  }
}
