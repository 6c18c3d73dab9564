/**
 * The log reader of the fault suite finds every event that the stores hold, on one Redis and on a Redis Cluster, without
 * using the code that wrote it.
 */
import { randomUUID } from 'node:crypto'
import { Cluster, Redis } from 'ioredis'
import pg from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import { fingerprint } from '../../../src/chaos/fingerprint.js'
import type { LogLine } from '../../../src/chaos/journal.js'
import { logLine, readLogs } from '../../../src/chaos/log-reader.js'
import { newSessionId } from '../../../src/protocol/ids.js'
import { laneKeys } from '../../../src/redis/keys.js'
import { laneTag, MAX_LANES } from '../../../src/shards/lane.js'
import { openDatabase } from '../../../src/storage/database.js'
import { migrate } from '../../../src/storage/migrate.js'
import { createServerDatabase } from '../../support/databases.js'

const SESSIONS = 40
/** More than one page of a log. */
const LONG = 2_300

const bodyOf = (session: string, id: string): string =>
  JSON.stringify({ type: 'task_executing', eventId: id, sessionId: session, taskId: `task of ${id}`, text: 'é' })

async function databaseWith(events: readonly { session: string; seq: number }[]): Promise<string> {
  const { url, remove } = await createServerDatabase()
  onTestFinished(remove)
  const database = await openDatabase({ kind: 'postgres', url, poolSize: 1, connectTimeoutMs: 5_000 })
  await migrate(database)
  await database.close()
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(
    `insert into events (session_id, epoch, seq, type, body, at)
     select session, 1, seq, 'task_executing', body::json, now()
     from unnest($1::text[], $2::int[], $3::text[]) as e (session, seq, body)`,
    [events.map((it) => it.session), events.map((it) => it.seq), events.map((it) => bodyOf(it.session, `1-${it.seq}`))],
  )
  await client.end()
  return url
}

async function write(redis: Redis | Cluster, key: string, session: string, count: number): Promise<void> {
  const entries = Array.from({ length: count }, (_, index) => `1-${index + 1}`)
  await Promise.all(entries.map((id) => redis.xadd(key, id, 'd', bodyOf(session, id))))
}

const single = {
  name: 'one Redis',
  lanes: 1,
  connect: (): Redis | Cluster => new Redis(process.env.TEST_REDIS_URL ?? ''),
  source: () => ({ url: process.env.TEST_REDIS_URL ?? '' }),
}
const nodes = (process.env.TEST_REDIS_CLUSTER_URLS ?? '').split(',').map((url) => url.replace('redis://', ''))
const cluster = {
  name: 'Redis Cluster',
  lanes: MAX_LANES,
  connect: (): Redis | Cluster =>
    new Cluster(nodes.map((node) => ({ host: node.split(':')[0] ?? '', port: Number(node.split(':')[1]) }))),
  source: () => ({ nodes }),
}

describe.each(process.env.TEST_REDIS_CLUSTER_URLS ? [single, cluster] : [single])(
  '$name',
  ({ lanes, connect, source }) => {
    test('every event of every lane comes once, in order, from both stores', async () => {
      const name = `chaos*[${randomUUID()}]`
      const redis = connect()
      const sessions = Array.from({ length: SESSIONS }, (_, shard) => newSessionId(shard))
      const [long = ''] = sessions
      const keys = sessions.map((session, shard) => `${laneKeys(name, laneTag(shard % lanes)).session(session)}:log`)
      onTestFinished(async () => {
        await Promise.all(keys.map((key) => redis.unlink(key)))
        redis.disconnect()
      })
      await Promise.all(
        sessions.map((session, at) => write(redis, keys[at] ?? '', session, session === long ? LONG : 2)),
      )
      const projected = sessions.flatMap((session) => [1, 2, 3].map((seq) => ({ session, seq })))
      const databaseUrl = await databaseWith(projected)

      const lines: LogLine[] = []
      for await (const batch of readLogs({ databaseUrl, redis: source(), cluster: name })) lines.push(...batch)

      const inRedis = lines.filter(({ store }) => store === 'redis')
      expect(inRedis).toHaveLength(LONG + 2 * (SESSIONS - 1))
      const ofLong = inRedis.filter(({ session }) => session === long).map(({ event }) => event)
      expect(ofLong).toEqual(Array.from({ length: LONG }, (_, index) => `1-${index + 1}`))
      expect(new Set(inRedis.map(({ session }) => session)).size).toBe(SESSIONS)
      const inPostgres = lines.filter(({ store }) => store === 'postgres')
      expect(inPostgres.map(({ session, event }) => `${session} ${event}`).sort()).toEqual(
        projected.map(({ session, seq }) => `${session} 1-${seq}`).sort(),
      )
      expect(
        lines.find(({ store, session, event }) => store === 'postgres' && session === long && event === '1-2'),
      ).toEqual({
        ...{ kind: 'log', store: 'postgres', session: long, event: '1-2', type: 'task_executing' },
        ...{ hash: fingerprint(bodyOf(long, '1-2')), command: 'task of 1-2' },
      })
    })
  },
)

describe('the line of an event', () => {
  const line = (event: object): LogLine => logLine('redis', 's', '1-2', JSON.stringify({ eventId: '1-2', ...event }))

  test.each([
    [
      { type: 'stream_end', requestId: 'a', messageId: 'm', text: 'né' },
      { command: 'a', message: 'm', bytes: 3, text: fingerprint('né') },
    ],
    [
      { type: 'tool_call_start', requestId: 'a', data: { callId: 'x', effect: 'once' } },
      { command: 'a', call: 'x', effect: 'once' },
    ],
    [
      { type: 'task_failed', taskId: 'a', code: 'quarantined' },
      { command: 'a', code: 'quarantined' },
    ],
    [{ type: 'session_status_update', session: { status: 'paused' } }, { status: 'paused' }],
    [
      { type: 'session_takeover', taskId: 'a', fromWorker: 'w1', worker: 'w2', attempt: 2 },
      { command: 'a', from: 'w1', to: 'w2', attempt: 2 },
    ],
  ])('%j', (event, expected) => {
    const { hash, ...rest } = line(event)

    expect(rest).toEqual({ kind: 'log', store: 'redis', session: 's', event: '1-2', type: event.type, ...expected })
    expect(hash).toBe(fingerprint(JSON.stringify({ eventId: '1-2', ...event })))
  })

  test('tells when an event calls itself otherwise than it is stored', () => {
    expect(logLine('redis', 's', '1-3', JSON.stringify({ type: 'task_executing', eventId: '1-2' })).named).toBe('1-2')
    expect(logLine('redis', 's', '1-3', 'no JSON').named).toBe('none')
  })
})
