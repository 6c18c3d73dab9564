/**
 * The projection: fenced by epoch for each shard, repeatable, and the source of tasks and steps.
 */
import { sql } from 'kysely'
import { beforeEach, expect, test } from 'vitest'
import { newSessionId } from '../../../src/protocol/ids.js'
import type { Session } from '../../../src/protocol/session.js'
import type { Database } from '../../../src/storage/database.js'
import { Events } from '../../../src/storage/events.js'
import { type ProjectedEvent, Projection, type ProjectionBatch } from '../../../src/storage/projection.js'
import { Sessions } from '../../../src/storage/sessions.js'
import { eachDatabase, openConnections } from '../../support/databases.js'
import { seededRandom } from '../../support/random.js'

const AT = '2026-01-02T03:04:05.678Z'
const USAGE = { promptTokens: 11, completionTokens: 7, cost: 0.0125, duration: 90 }
const TURN_ENDS = { taskId: 'task-1', usage: USAGE, result: { success: true, output: 'done' } }

const snapshotOf = (id: string, text: string): Session => ({
  id,
  orchestratorId: 'o',
  task: null,
  type: 'llm',
  status: 'active',
  startedAt: AT,
  memoryContext: { scratchpad: { text }, episodic: [], semantic: [] },
  metrics: { tokensUsed: 0, duration: 0, tasksCompleted: 0, errorsEncountered: 0, averageResponseTime: 0 },
  cost: 0,
})

/** A log that numbers its events. */
class Log {
  readonly events: ProjectedEvent[] = []
  constructor(readonly sessionId: string) {}

  add(type: string, fields: object = {}, epoch = 1): this {
    const { sessionId } = this
    const seq = this.events.length + 1
    const body = JSON.stringify({ type, eventId: `${epoch}-${seq}`, sessionId, timestamp: AT, ...fields })
    this.events.push({ sessionId, epoch, seq, type, at: AT, body })
    return this
  }

  startTurn(turn: number): this {
    return this.add('task_executing', { taskId: 'task-1', turn, task: { id: 'task-1', description: 'é' } })
  }

  startCall(callId: string): this {
    return this.add('tool_call_start', { data: { callId, toolName: 't', effect: 'once', status: 'started' } })
  }

  endCall(callId: string, status: 'completed' | 'failed'): this {
    return this.add('tool_call_result', { data: { callId, toolName: 't', status } })
  }

  startMessage(messageId: string): this {
    return this.add('stream_start', { messageId, metadata: { model: 'm' } })
  }

  endMessage(messageId: string, totalTokens = 18, cost = 0.5): this {
    return this.add('stream_end', { messageId, text: '', toolCalls: [], metadata: { totalTokens, cost } })
  }
}

eachDatabase((open) => {
  let database: Database
  let projection: Projection
  let log: Log

  beforeEach(async () => {
    database = await open()
    projection = new Projection(database)
    await sql`truncate shard_projection`.execute(database.sql)
    log = await reserved(1)
  })

  async function reserved(shard: number): Promise<Log> {
    const id = newSessionId(shard)
    const session = { id, shard, tenant: 't', orchestratorId: 'o', type: 'llm', bodyHash: 'h', spawn: '{}' }
    await new Sessions(database).reserve(session)
    return new Log(id)
  }

  const batch = (events: readonly ProjectedEvent[], changes: Partial<ProjectionBatch> = {}): ProjectionBatch => ({
    shard: 1,
    epoch: 1,
    events,
    sessions: [],
    ...changes,
  })

  const stored = async (id = log.sessionId) => new Events(database).page(id, { epoch: 0, seq: 0 }, undefined, 1_000)
  const tasks = () => rows('tasks')
  const steps = () => rows('steps')

  async function rows(table: 'tasks' | 'steps') {
    const { sessionId } = log
    const found = await sql<Record<string, unknown>>`
      select * from ${sql.table(table)} where session_id = ${sessionId} order by ctid`.execute(database.sql)
    return found.rows.map(({ session_id: _same, ...row }) => row)
  }

  test('a batch stores its events and the state of its sessions', async () => {
    log.add('session_spawned').startTurn(1)
    const session = { id: log.sessionId, status: 'active', snapshot: snapshotOf(log.sessionId, 'first') } as const
    const later = { ...session, status: 'paused', snapshot: snapshotOf(log.sessionId, 'ünï 😀') } as const

    expect(await projection.project([batch(log.events, { sessions: [session, later] })])).toEqual({ fenced: [] })

    expect((await stored()).map(({ body }) => body)).toEqual(log.events.map(({ body }) => body))
    expect(await new Sessions(database).find(log.sessionId)).toMatchObject({
      status: 'paused',
      submitted: true,
      snapshot: later.snapshot,
    })
  })

  test('queries can look into every snapshot, whatever a user wrote', async () => {
    const text = 'nul \0, half \ud83d, whole 😀, not escaped \\u0000 \\\\u0000 \\ud800, "quoted"\n'
    const session = { id: log.sessionId, status: 'active', snapshot: snapshotOf(log.sessionId, text) } as const

    await projection.project([batch([], { sessions: [session] })])

    const { rows: found } = await sql<{ text: string }>`
      select snapshot -> 'memoryContext' -> 'scratchpad' ->> 'text' as text from sessions where id = ${log.sessionId}
    `.execute(database.sql)
    expect(found).toEqual([{ text: text.replace('\0', '\uFFFD').replace('\ud83d,', '\uFFFD,') }])
  })

  test('a shard that a higher epoch has projected is fenced, and the others of its batch are stored', async () => {
    const other = await reserved(2)
    await projection.project([batch([], { epoch: 5 })])
    log.startTurn(1)
    other.startTurn(1)
    const session = { id: log.sessionId, status: 'failed', snapshot: snapshotOf(log.sessionId, 'zombie') } as const

    const result = await projection.project([
      batch(log.events, { epoch: 4, sessions: [session] }),
      batch(other.events, { shard: 2, epoch: 4 }),
    ])

    expect(result).toEqual({ fenced: [1] })
    expect(await stored()).toEqual([])
    expect(await tasks()).toEqual([])
    expect(await new Sessions(database).find(log.sessionId)).toMatchObject({ status: 'initializing', snapshot: null })
    expect(await stored(other.sessionId)).toHaveLength(1)
  })

  test('the position of a shard moves with every batch that is taken', async () => {
    log.add('session_spawned').add('session_status_update')
    await projection.project([batch(log.events, { epoch: 2 })])
    await projection.project([batch(log.events, { epoch: 1 })])

    const position = await database.sql.selectFrom('shard_projection').selectAll().execute()

    expect(position).toEqual([{ shard: 1, epoch: 2, pos: 2 }])
  })

  test('owners that project the same shards at once wait for each other and never fail', async () => {
    await openConnections(database)
    const shards = Array.from({ length: 1_000 }, (_, shard) => shard)
    const batches = (epoch: number) => shards.map((shard) => batch([], { shard, epoch }))

    for (let epoch = 1; epoch <= 10; epoch += 2) {
      const results = await Promise.all([
        projection.project(batches(epoch)),
        projection.project(batches(epoch + 1).reverse()),
        projection.project(batches(epoch).reverse()),
        projection.project(batches(epoch + 1)),
      ])

      expect(results[1]).toEqual({ fenced: [] })
      expect(results[3]).toEqual({ fenced: [] })
    }
  })

  test('a turn becomes a task and its numbered steps', async () => {
    log.startTurn(1).startMessage('m1').endMessage('m1').startCall('c1').endCall('c1', 'failed').startMessage('m2')
    log.endMessage('m2').add('task_completed', TURN_ENDS)

    await projection.project([batch(log.events)])

    const at = new Date(AT)
    const model = { kind: 'model', model: 'm', effect: null, attempt: 1, status: 'completed', tokens: 18, cost: 0.5 }
    const times = { started_at: at, ended_at: at }
    expect(await tasks()).toEqual([
      {
        task_id: 'task-1',
        turn: 1,
        status: 'completed',
        body: { id: 'task-1', description: 'é' },
        error: null,
        prompt_tokens: 11,
        completion_tokens: 7,
        cost: 0.0125,
        ...times,
      },
    ])
    expect(await steps()).toEqual([
      { turn: 1, step: 1, ref: 'm1', ...model, ...times },
      {
        turn: 1,
        step: 2,
        ref: 'c1',
        ...model,
        kind: 'tool',
        model: '',
        effect: 'once',
        status: 'failed',
        tokens: 0,
        cost: 0,
        ...times,
      },
      { turn: 1, step: 3, ref: 'm2', ...model, ...times },
    ])
  })

  test('rows are the same however the log is cut into batches, and whatever is sent again', async () => {
    const random = seededRandom('projection in pieces')
    // Task and call ids repeat in every turn, as clients and vendors may do.
    for (const turn of [1, 2, 3]) {
      log.startTurn(turn).startMessage(`m${turn}`).endMessage(`m${turn}`).startCall('call').endCall('call', 'completed')
      log
        .startMessage(`n${turn}`)
        .endMessage(`n${turn}`, 5, 0.25)
        .add('task_cancelled', { ...TURN_ENDS, reason: 'stop' })
    }
    await projection.project([batch(log.events)])
    const whole = [...(await tasks()), ...(await steps())]

    for (let round = 0; round < 5; round++) {
      log = Object.assign(await reserved(1), { events: log.events })
      const events = log.events.map((event) => ({ ...event, sessionId: log.sessionId }))
      let from = 0
      while (from < events.length) {
        const to = from + random.integer(1, 5)
        // Starting before what is stored, as an owner does that does not know how far the last one came.
        await projection.project([batch(events.slice(random.integer(0, from), to))])
        from = to
      }
      const cut = [...(await tasks()), ...(await steps())]
      expect(sorted(cut)).toEqual(sorted(whole))
    }
  })

  test('an event that is twice in one batch counts once', async () => {
    log.startTurn(1).startMessage('m1').endMessage('m1')

    await projection.project([batch([...log.events, ...log.events])])

    expect(await steps()).toMatchObject([{ ref: 'm1', attempt: 1, tokens: 18 }])
    expect(await stored()).toHaveLength(3)
  })

  test('events that were stored by somebody else still become tasks', async () => {
    log.startTurn(1).add('task_completed', TURN_ENDS)
    await database.sql
      .insertInto('events')
      .values(log.events.map(({ sessionId, ...event }) => ({ session_id: sessionId, ...event })))
      .execute()

    await projection.project([batch(log.events)])

    expect(await tasks()).toMatchObject([{ turn: 1, status: 'completed' }])
  })

  test('a step that is started again counts its attempts and sums what they cost', async () => {
    log.startTurn(1).startMessage('m1')
    await projection.project([batch(log.events)])
    const before = log.events.length
    log.add('session_takeover', { taskId: 'task-1', attempt: 1 }).endMessage('m1', 10, 0.25).startMessage('m1')
    log.endMessage('m1', 20, 0.5)

    await projection.project([batch(log.events.slice(before))])

    expect(await steps()).toMatchObject([{ step: 1, attempt: 2, status: 'completed', tokens: 30, cost: 0.75 }])
  })

  test('the end of a task that waits leaves the running one alone', async () => {
    log.startTurn(1).add('task_cancelled', { ...TURN_ENDS, taskId: 'waiting', reason: 'not needed' })

    await projection.project([batch(log.events)])

    expect(await tasks()).toMatchObject([{ task_id: 'task-1', status: 'in_progress', ended_at: null }])
  })

  test('text and numbers that Postgres cannot hold do not stop a shard', async () => {
    log.add('task_executing', { taskId: 'nul\0id', turn: 1, task: { id: 'nul\0id' } })
    const usage = { promptTokens: 1e12, completionTokens: 2.4, cost: null }
    log.startMessage('m\0').endMessage('m\0', -3, Number.NaN)
    log.add('task_failed', { taskId: 'nul\0id', error: 'bad \0 \ud800 text', code: 'internal', usage })

    await projection.project([batch(log.events)])

    expect(await tasks()).toMatchObject([
      {
        task_id: 'nul\uFFFDid',
        status: 'failed',
        error: expect.stringContaining('bad \uFFFD'),
        prompt_tokens: 2 ** 31 - 1,
        completion_tokens: 2,
        cost: 0,
      },
    ])
    expect(await steps()).toMatchObject([{ ref: 'm\uFFFD', tokens: 0, cost: 0 }])
  })

  test('two batches for one shard are a mistake of the caller', async () => {
    await expect(projection.project([batch([]), batch([])])).rejects.toThrow('one batch for each shard')
  })
})

const sorted = (rows: readonly object[]): string[] => rows.map((row) => JSON.stringify(row)).sort()
