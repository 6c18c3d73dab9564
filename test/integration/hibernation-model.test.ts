/**
 * Random steps of clients against sessions that hibernate after a moment of silence, on a real Redis and PostgreSQL. The
 * model: every command has run once, and every watcher has each event behind its start, in order, without a reset.
 */
import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { expect, onTestFinished, test, vi } from 'vitest'
import { connectCommands, disconnect, type RedisClient } from '../../src/redis/connect.js'
import { type Database, openDatabase } from '../../src/storage/database.js'
import { createServerDatabase } from '../support/databases.js'
import { type SeededRandom, seededRandom } from '../support/random.js'
import { type Frame, PATIENCE, RawClient, settingsFolder, startWith } from '../support/settings-fixture.js'

const STEPS = 50
const SESSIONS = 3
const WATCHERS = 4
/** So short that sessions leave between, and during, whatever the clients do. */
const HIBERNATE_AFTER_MS = 60

const seqOf = (eventId: unknown): number => Number(String(eventId).split('-')[1])

/** A client that watches one session, from an event on. */
class Watcher {
  constructor(
    readonly client: RawClient,
    readonly sessionId: string,
    readonly startSeq: number,
  ) {}

  seqs(): number[] {
    const logged = (it: Frame) =>
      it.sessionId === this.sessionId && it.timestamp !== undefined && it.eventId !== undefined
    return this.client.frames.filter(logged).map((it) => seqOf(it.eventId))
  }

  get last(): number {
    return this.seqs().at(-1) ?? this.startSeq
  }

  check(): void {
    const seqs = this.seqs()
    expect(seqs).toEqual(seqs.map((_, index) => this.startSeq + 1 + index))
    expect(this.client.frames.filter((it) => it.type === 'error' || it.reset === true)).toEqual([])
  }
}

class World {
  readonly sessions: string[] = []
  /** Commands of each session, which must all run once. */
  readonly commands = new Map<string, string[]>()
  watchers: Watcher[] = []
  rests = 0
  readonly history: string[] = []

  constructor(
    readonly url: string,
    readonly redis: RedisClient,
    readonly keyPrefix: string,
    readonly database: Database,
    readonly random: SeededRandom,
  ) {}

  async with<T>(use: (client: RawClient) => Promise<T>): Promise<T> {
    const client = await RawClient.connect(this.url)
    try {
      return await use(client)
    } finally {
      client.close()
    }
  }

  async spawn(): Promise<void> {
    const spawn = { type: 'spawn_session', payload: { task: 'first', sessionType: 'echo' } }
    const { sessionId } = await this.with((client) => client.ask(spawn, 'session_spawned'))
    this.sessions.push(String(sessionId))
    this.commands.set(String(sessionId), [])
  }

  pick = (): string => this.random.pick(this.sessions)

  command(sessionId: string, commandId: string): Frame {
    return { type: 'execute_task', commandId, payload: { sessionId, task: { id: commandId, description: commandId } } }
  }

  /** Resolves with the acceptance. */
  async send(sessionId: string, commandId: string): Promise<Frame> {
    // Events name the command that they end, too.
    const isAnswer = (it: Frame): boolean => it.commandId === commandId && it.eventId === undefined
    return await this.with(async (client) => {
      client.send(this.command(sessionId, commandId))
      return await vi.waitUntil(() => client.frames.find(isAnswer), PATIENCE)
    })
  }

  async execute(): Promise<void> {
    const sessionId = this.pick()
    const commandId = `c-${randomUUID()}`
    this.commands.get(sessionId)?.push(commandId)
    expect(await this.send(sessionId, commandId)).toMatchObject({ type: 'command_accepted', duplicate: false })
  }

  async repeat(): Promise<void> {
    const sessionId = this.pick()
    const known = this.commands.get(sessionId) ?? []
    if (known.length === 0) return
    const accepted = await this.send(sessionId, this.random.pick(known))
    expect(accepted).toMatchObject({ type: 'command_accepted', duplicate: true })
  }

  /** Several at once, each by two connections. */
  async flurry(): Promise<void> {
    const sessionId = this.pick()
    const ids = Array.from({ length: this.random.integer(2, 5) }, () => `f-${randomUUID()}`)
    this.commands.get(sessionId)?.push(...ids)
    const accepted = await Promise.all([...ids, ...ids].map((id) => this.send(sessionId, id)))
    expect(accepted.map((it) => it.type)).toEqual(accepted.map(() => 'command_accepted'))
  }

  /** From the start, from where another watcher is, or from now. */
  async watch(): Promise<void> {
    if (this.watchers.length >= WATCHERS) return await this.leave()
    const sessionId = this.pick()
    const others = this.watchers.filter((it) => it.sessionId === sessionId).map((it) => it.last)
    const seq = this.random.pick([0, 0, ...others, undefined])
    const client = await RawClient.connect(this.url)
    const from = seq === undefined ? {} : { from: { eventId: await this.eventId(sessionId, seq) } }
    const subscribed = await client.ask({ type: 'subscribe', payload: { sessionId, ...from } }, 'subscribed')
    this.watchers.push(new Watcher(client, sessionId, seq ?? seqOf(subscribed.eventId)))
  }

  async eventId(sessionId: string, seq: number): Promise<string> {
    if (seq === 0) return '0-0'
    return await vi.waitUntil(async () => {
      const { rows } = await sql<{ id: string }>`
        select epoch || '-' || seq as id from events where session_id = ${sessionId} and seq = ${seq}`.execute(
        this.database.sql,
      )
      return rows[0]?.id
    }, PATIENCE)
  }

  async leave(): Promise<void> {
    const watcher = this.watchers.shift()
    watcher?.check()
    watcher?.client.close()
  }

  /** Nobody watches: the session must leave. */
  async rest(): Promise<void> {
    const sessionId = this.pick()
    for (const it of this.watchers.filter((it) => it.sessionId === sessionId)) {
      it.check()
      it.client.close()
    }
    this.watchers = this.watchers.filter((it) => it.sessionId !== sessionId)
    await vi.waitFor(async () => expect(await this.redis.keys(`${this.keyPrefix}*${sessionId}*`)).toEqual([]), PATIENCE)
    this.rests += 1
  }

  async settle(): Promise<void> {
    for (const id of this.sessions) {
      const executing = async () => {
        const { rows } = await sql<{ id: string }>`
          select body->>'taskId' as id from events where session_id = ${id} and type = 'task_executing' order by seq`.execute(
          this.database.sql,
        )
        return rows.map((it) => it.id)
      }
      const wanted = [...(this.commands.get(id) ?? [])].sort()
      // The first task is the spawn's own.
      await vi.waitFor(async () => expect((await executing()).slice(1).sort()).toEqual(wanted), PATIENCE)
      const head = 1 + 2 * (wanted.length + 1)
      const mine = this.watchers.filter((it) => it.sessionId === id)
      await vi.waitFor(() => expect(mine.map((it) => it.last)).toEqual(mine.map(() => head)), PATIENCE)
      const { rows } = await sql<{ seq: number }>`select seq from events where session_id = ${id} order by seq`.execute(
        this.database.sql,
      )
      expect(rows.map((it) => it.seq)).toEqual(Array.from({ length: head }, (_, index) => index + 1))
    }
    for (const it of this.watchers) it.check()
  }
}

/** Chance alone may leave a run without sessions that hibernate. */
const REST_EVERY_STEPS = 10
const STEP_NAMES = ['execute', 'execute', 'repeat', 'flurry', 'watch', 'watch', 'leave', 'rest'] as const

async function begin(random: SeededRandom): Promise<World> {
  const folder = settingsFolder()
  const name = `model-${randomUUID()}`
  const url = process.env.TEST_REDIS_URL ?? ''
  const server = await createServerDatabase()
  const running = await startWith(folder.path, {
    ...{ REDIS_URL: url, DATABASE_URL: server.url, CLUSTER_NAME: name, SHARD_COUNT: '2' },
    ...{ DAEMON_AUTH_MAX_CONNECTIONS: '1000', DAEMON_RATE_LIMIT_MAX: '1000000' },
    SESSION_HIBERNATE_AFTER: String(HIBERNATE_AFTER_MS),
  })
  const config = { url, clusterNodes: [], password: undefined, db: 0, connectTimeoutMs: 5_000 }
  const redis = await connectCommands(config, (error) => console.warn(`redis: ${error.message}`))
  const database = await openDatabase({ kind: 'postgres', url: server.url, poolSize: 2, connectTimeoutMs: 5_000 })
  const world = new World(`ws://127.0.0.1:${running.daemon.port}`, redis, name, database, random)
  onTestFinished(async () => {
    for (const it of world.watchers) it.client.close()
    await running.stop()
    disconnect(redis)
    await database.close()
    await server.remove()
    folder.remove()
  })
  return world
}

test.each([1, 2])(
  'whatever hibernates when, no command runs twice and no watcher misses anything (run %i)',
  async (run) => {
    const random = seededRandom(`hibernation model, run ${run}`)
    const world = await begin(random)
    for (let count = 0; count < SESSIONS; count++) await world.spawn()
    try {
      for (let step = 0; step < STEPS; step++) {
        const name = step % REST_EVERY_STEPS === 0 ? 'rest' : random.pick(STEP_NAMES)
        world.history.push(name)
        await world[name]()
      }
      await world.settle()
    } catch (error) {
      console.error(`failed at step ${world.history.length}: … ${world.history.slice(-12).join(', ')}`)
      throw error
    }
    expect(world.rests, 'sessions have hibernated').toBeGreaterThanOrEqual(STEPS / REST_EVERY_STEPS)
  },
  180_000,
)
