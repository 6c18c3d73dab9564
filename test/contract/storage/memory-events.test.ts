/**
 * What memory keeps of the events of sessions.
 */
import { sql } from 'kysely'
import { beforeEach, expect, test } from 'vitest'
import { newSessionId } from '../../../src/protocol/ids.js'
import type { Database } from '../../../src/storage/database.js'
import { memoryIdentity } from '../../../src/storage/memory-identity.js'
import { MemoryItems } from '../../../src/storage/memory-items.js'
import { Projection } from '../../../src/storage/projection.js'
import type { ProjectedEvent } from '../../../src/storage/step-rows.js'
import { eachDatabase } from '../../support/databases.js'

const AT = '2026-11-27T00:00:00.000Z'
const SCOPE = { tenant: 'acme', owner: 'ann' }
const DAYS = 7

class Log {
  readonly events: ProjectedEvent[] = []
  constructor(readonly sessionId: string) {}

  add(type: string, fields: object, at = new Date().toISOString()): this {
    const { sessionId } = this
    const seq = this.events.length + 1
    const body = JSON.stringify({ type, eventId: `1-${seq}`, sessionId, timestamp: at, ...fields })
    this.events.push({ sessionId, epoch: 1, seq, type, at, body })
    return this
  }

  turn(): this {
    return this.add('task_executing', { taskId: 't', turn: 1, task: { id: 't', description: 'plan the trip' } })
      .add('stream_end', { messageId: 'm1', text: 'I will look', toolCalls: [], metadata: { totalTokens: 1, cost: 0 } })
      .add('tool_call_result', {
        data: { callId: 'c1', toolName: 'web_fetch', status: 'completed', result: { body: 'sunny' } },
      })
      .add('tool_call_result', { data: { callId: 'c2', toolName: 'memory_search', status: 'completed', result: {} } })
      .add('stream_end', { messageId: 'm2', text: ' ', toolCalls: [], metadata: { totalTokens: 1, cost: 0 } })
  }

  compacted(content: string, sources: readonly string[]): this {
    const metadata = { model: 'm', totalTokens: 3, promptTokens: 2, completionTokens: 1, cost: 0, duration: 1 }
    return this.add('context_compacted', {
      ...{ messageId: `s${this.events.length}`, messages: 2, summary: 's' },
      facts: [{ content, key: 'weather', sources }],
      metadata,
    })
  }
}

eachDatabase((open) => {
  let database: Database
  let items: MemoryItems
  beforeEach(async () => {
    database = await open()
    items = new MemoryItems(database)
    for (const table of ['shard_projection', 'sessions', 'events']) {
      await sql`truncate ${sql.table(table)}`.execute(database.sql)
    }
    await sql`delete from memory_items`.execute(database.sql)
  })

  async function session(type: string, memoryProfile: string | null = null): Promise<Log> {
    const id = newSessionId(0)
    const about = { orchestrator_id: 'main', type, status: 'active', body_hash: 'h', memory_profile: memoryProfile }
    const row = { id, shard: 0, ...SCOPE, ...about, spawn: '{}' }
    await database.sql
      .insertInto('sessions')
      .values({ ...row, status: 'active', idem_key: null })
      .execute()
    return new Log(id)
  }

  const project = (log: Log, episodicDays = DAYS, from = 0) =>
    new Projection(database, episodicDays).project([
      { shard: 0, epoch: 1, events: log.events.slice(from), sessions: [] },
    ])
  const contents = async (tier: 'episodic' | 'semantic') =>
    (await items.newest(SCOPE, tier, 50)).map(({ content }) => content).sort()

  test('M-01, M-02: what was asked, said and found out is remembered once, each with its event and for its time', async () => {
    const log = (await session('llm')).turn()
    await project(log)
    await project(log)

    expect(await contents('episodic')).toEqual(['I will look', 'plan the trip', 'web_fetch: {"body":"sunny"}'])
    const said = (await items.newest(SCOPE, 'episodic', 50)).find(({ content }) => content === 'I will look')
    expect(await items.sourcesOf(SCOPE, said?.id ?? '')).toEqual([
      { sessionId: log.sessionId, ref: 'message:m1', epoch: 1, seq: 2 },
    ])
    const left = (said?.expiresAt?.getTime() ?? 0) - Date.now()
    expect(left / 86_400_000).toBeCloseTo(DAYS, 1)
  })

  test('a load tool remembers nothing', async () => {
    await project((await session('echo')).turn())

    expect(await contents('episodic')).toEqual([])
  })

  test('M-07: facts are for good, name the events that they come from, and give way to later ones', async () => {
    const log = (await session('llm')).turn().compacted('it is sunny', ['call:c1', 'task:1'])
    await project(log)
    await project(log.compacted('it rains', ['message:m2']), DAYS, log.events.length - 1)

    expect(await contents('semantic')).toEqual(['it rains'])
    const place = { tier: 'semantic', namespace: 'default', key: 'weather', content: '' } as const
    const [sunny] = await items.former(SCOPE, memoryIdentity(place), 5)
    expect(sunny).toMatchObject({ content: 'it is sunny', expiresAt: null, sessionId: log.sessionId })
    expect(await items.sourcesOf(SCOPE, sunny?.id ?? '')).toEqual([
      { sessionId: log.sessionId, ref: 'task:1', epoch: 1, seq: 1 },
      { sessionId: log.sessionId, ref: 'call:c1', epoch: 1, seq: 3 },
    ])
    expect((await items.originalsOf(SCOPE, sunny?.id ?? '')).map(({ kind }) => kind)).toEqual([
      ...['interaction', 'observation'],
    ])
    expect(await items.originalsOf({ ...SCOPE, owner: 'somebody else' }, sunny?.id ?? '')).toEqual([])
  })

  test('what a session with a profile does, and its facts, are remembered under the profile', async () => {
    await project((await session('llm', 'trips')).turn().compacted('it is sunny', []))
    await project((await session('llm')).turn().compacted('it rains', []))

    const namespaces = async (tier: 'episodic' | 'semantic') =>
      (await items.newest(SCOPE, tier, 50)).map(({ namespace }) => namespace).sort()
    expect(await namespaces('episodic')).toEqual([...Array(3).fill('default'), ...Array(3).fill('trips')])
    // Facts of one key under two profiles are two facts.
    expect(await namespaces('semantic')).toEqual(['default', 'trips'])
  })

  test('with episodicDays of 0 only facts are remembered', async () => {
    await project((await session('llm')).turn().compacted('it is sunny', []), 0)

    expect(await contents('episodic')).toEqual([])
    expect(await contents('semantic')).toEqual(['it is sunny'])
  })

  test('text that no column can hold stops nothing', async () => {
    const log = await session('llm')
    const text = 'nul \0 half \ud83d'
    log.add('stream_end', { messageId: '\0', text, toolCalls: [], metadata: { totalTokens: 1, cost: 0 } }, AT)
    log.compacted('fact \0', ['message:\0'])
    await project(log)

    expect(await contents('semantic')).toEqual(['fact \ufffd'])
  })
})
