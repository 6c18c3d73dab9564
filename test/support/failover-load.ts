/**
 * Sessions that stream and commands that come while a Redis fails over, and what must be true of them afterwards: all was
 * carried out, once, and what clients saw is what PostgreSQL holds, under one owner's ids without a gap.
 */
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { expect, onTestFinished, vi } from 'vitest'
import WebSocket from 'ws'
import { type Client, type ConnectOptions, connect, type SessionHandle, type TaskEnd } from '../../src/client/client.js'
import type { ServerMessage } from '../../src/protocol/events.js'
import { createServerDatabase } from './databases.js'
import { type RunningDaemon, settingsFolder, startWith } from './settings-fixture.js'

export const PATIENCE = { timeout: 40_000, interval: 20 } as const
/** Streams for four seconds. */
const STREAM = JSON.stringify({ count: 400, bytes: 12, delayMs: 10 })
const SESSIONS = 6

interface Watched {
  readonly session: SessionHandle
  readonly heard: ServerMessage[]
}

export class FailoverLoad {
  readonly #watched: Watched[] = []
  readonly #ends: Promise<TaskEnd>[] = []

  private constructor(
    readonly daemon: RunningDaemon,
    private readonly client: Client,
    private readonly databaseUrl: string,
  ) {}

  /** A daemon with all roles over `redis`; ends with the test. */
  static async start(redis: Readonly<Record<string, string>>): Promise<FailoverLoad> {
    const database = await createServerDatabase()
    const folder = settingsFolder()
    const daemon = await startWith(folder.path, {
      ...redis,
      DATABASE_URL: database.url,
      CLUSTER_NAME: `failover-${randomBytes(4).toString('hex')}`,
      SHARD_COUNT: '16',
      DAEMON_RATE_LIMIT_MAX: '100000',
      LOG_FORMAT: 'json',
    })
    const webSocket = WebSocket as unknown as NonNullable<ConnectOptions['webSocket']>
    const client = await connect({ url: `ws://127.0.0.1:${daemon.daemon.port}`, webSocket })
    onTestFinished(async () => {
      client.close()
      await daemon.stop()
      await database.remove()
      folder.remove()
    })
    return new FailoverLoad(daemon, client, database.url)
  }

  /** Some sessions begin to stream. */
  async stream(): Promise<void> {
    const streaming = await Promise.all(Array.from({ length: SESSIONS }, () => this.#spawn(STREAM)))
    const begun = ({ heard }: Watched) => heard.some(({ type }) => type === 'stream_chunk')
    await vi.waitFor(() => expect(streaming.every(begun)).toBe(true), PATIENCE)
  }

  /** Sessions are spawned and do a task to its end; those that stream get one more to do. */
  async work(name: string): Promise<void> {
    const before = [...this.#watched]
    const spawned = await Promise.all(Array.from({ length: SESSIONS }, (_, index) => this.#spawn(`${name} ${index}`)))
    const done = spawned.map(({ session }) => session.execute(`${name} done`))
    this.#ends.push(...done, ...before.map(({ session }) => session.execute(`${name} queued`)))
    await Promise.all(done)
  }

  /** The sessions that are there do one more task to its end. */
  async more(name: string): Promise<void> {
    const done = this.#watched.map(({ session }) => session.execute(name))
    this.#ends.push(...done)
    await Promise.all(done)
  }

  /** Everybody does one more task, and all that was ever asked comes to its end. */
  async finish(): Promise<void> {
    this.#ends.push(...this.#watched.map(({ session }) => session.execute('after')))
    const ends = await Promise.all(this.#ends)
    expect(ends.map(({ type }) => type)).toEqual(ends.map(() => 'task_completed'))
  }

  /** @throws when a client saw a reset, a gap or a repetition, or something else than the database holds. */
  async check(): Promise<void> {
    for (const { session, heard } of this.#watched) {
      expect(heard.filter((it) => it.type === 'subscribed' && it.reset)).toEqual([])
      const seen = heard.flatMap((it) => (it.type !== 'subscribed' && 'eventId' in it && it.eventId ? [it] : []))
      const ids = seen.map(({ eventId }) => eventId)
      expect(ids).toEqual(ids.map((_, at) => `${ids[0]?.split('-')[0]}-${at + 1}`))
      const runs = seen.flatMap((it) => (it.type === 'task_executing' ? [it.taskId] : []))
      expect(new Set(runs).size).toBe(runs.length)
      const stored = () => this.#stored(session.id, seen.length)
      await vi.waitFor(async () => expect(await stored()).toHaveLength(seen.length), PATIENCE)
      expect((await stored()).map((body) => JSON.parse(body) as object)).toEqual(seen)
    }
    const { lines } = this.daemon
    expect(lines.some((line) => line.includes('another Redis answers'))).toBe(true)
    expect(lines.filter((line) => line.includes('loaded anew'))).toEqual([])
  }

  async #spawn(task: string): Promise<Watched> {
    const session = await this.client.spawn({ sessionType: 'echo', task })
    const heard: ServerMessage[] = []
    void (async () => {
      for await (const message of session) heard.push(message)
    })().catch(() => undefined) // The client is closed at the end of the test.
    const watched = { session, heard }
    this.#watched.push(watched)
    return watched
  }

  async #stored(sessionId: string, limit: number): Promise<string[]> {
    const database = new pg.Client({ connectionString: this.databaseUrl })
    await database.connect()
    try {
      const text = 'select body::text as body from events where session_id = $1 order by epoch, seq limit $2'
      return (await database.query<{ body: string }>(text, [sessionId, limit])).rows.map(({ body }) => body)
    } finally {
      await database.end()
    }
  }
}
