/**
 * What Postgres keeps of sessions at rest, and what it says of one that Redis does not hold: only ever its last state.
 */
import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { newSessionId } from '../../../src/protocol/ids.js'
import type { Session, SessionStatus } from '../../../src/protocol/session.js'
import type { Database } from '../../../src/storage/database.js'
import { type DormantSession, DormantSessions } from '../../../src/storage/dormant-sessions.js'
import { Projection } from '../../../src/storage/projection.js'
import { Sessions } from '../../../src/storage/sessions.js'
import { eachDatabase } from '../../support/databases.js'

const AT = '2026-01-02T03:04:05.678Z'
const SHARD = 7
const SOON = { idleMs: 0, endedMs: 0 }
const LONG = { idleMs: 3_600_000, endedMs: 1_800_000 }

const snapshotOf = (id: string, status: SessionStatus): Session => ({
  ...{ id, orchestratorId: 'o', task: null, type: 'llm', status, startedAt: AT, cost: 0 },
  memoryContext: { scratchpad: {}, episodic: [], semantic: [] },
  metrics: { tokensUsed: 0, duration: 0, tasksCompleted: 0, errorsEncountered: 0, averageResponseTime: 0 },
})

const dormant = (sessionId: string, seq: number, more: Partial<DormantSession> = {}): DormantSession => ({
  ...{ sessionId, tenant: 'acme', status: 'active', head: `3-${seq}`, commit: 'writer-9', state: '{"turn":1}' },
  ...{ accepted: 2, seen: [['odd \u0000 "é', '3-1']], seenBefore: [] },
  ...more,
})

eachDatabase((open) => {
  async function begin() {
    const database = await open()
    const dormants = new DormantSessions(database)
    await sql`truncate sessions, events, dormant_sessions`.execute(database.sql)
    return { database, dormants }
  }

  /** A session with `count` projected events. */
  async function session(database: Database, count: number, status: SessionStatus = 'active', shard = SHARD) {
    const id = newSessionId(shard)
    const spawn = JSON.stringify({ id, type: 'spawn' })
    const about = { tenant: 'acme', orchestratorId: 'o', type: 'llm', bodyHash: 'h', spawn }
    await new Sessions(database).reserve({ id, shard, ...about })
    if (count > 0) await project(database, id, 1, count, status)
    return id
  }

  async function project(
    database: Database,
    id: string,
    first: number,
    last: number,
    status: SessionStatus = 'active',
  ) {
    const events = Array.from({ length: last - first + 1 }, (_, index) => {
      const seq = first + index
      const body = JSON.stringify({ type: 'session_status_update', eventId: `3-${seq}`, sessionId: id, timestamp: AT })
      return { sessionId: id, epoch: 3, seq, type: 'session_status_update', at: AT, body }
    })
    const sessions = [{ id, status, snapshot: snapshotOf(id, status) }]
    await new Projection(database).project([{ shard: SHARD, epoch: 3, events, sessions }])
  }

  test('what is kept comes back byte by byte', async () => {
    const { database, dormants } = await begin()
    const id = await session(database, 2)
    const kept = dormant(id, 2)

    await dormants.keep([{ epoch: 3, session: kept }])

    expect(await dormants.find(id)).toEqual({ kind: 'hibernated', session: kept })
  })

  test('a state with newer events behind it is lost, and never comes back', async () => {
    const { database, dormants } = await begin()
    const id = await session(database, 2)
    await dormants.keep([{ epoch: 3, session: dormant(id, 2) }])

    await project(database, id, 3, 3)

    expect(await dormants.find(id)).toEqual({ kind: 'lost' })
    await dormants.keep([{ epoch: 3, session: dormant(id, 3) }])
    expect(await dormants.find(id)).toMatchObject({ kind: 'hibernated', session: { head: '3-3' } })
  })

  test('a former owner that writes late does not replace what a later one has kept', async () => {
    const { database, dormants } = await begin()
    const id = await session(database, 5)
    await dormants.keep([{ epoch: 4, session: dormant(id, 5, { accepted: 9 }) }])

    await dormants.keep([{ epoch: 3, session: dormant(id, 2) }])
    await dormants.keep([{ epoch: 4, session: dormant(id, 5, { accepted: 8 }) }])

    expect(await dormants.find(id)).toMatchObject({ session: { head: '3-5', accepted: 9 } })
  })

  test('one that is over, one that was never begun, one that is nowhere kept and a stranger are told apart', async () => {
    const { database, dormants } = await begin()
    const [over, kept] = [await session(database, 1, 'failed'), await session(database, 1, 'terminated')]
    await dormants.keep([{ epoch: 3, session: dormant(kept, 1, { status: 'terminated', seenBefore: [['b', '']] }) }])
    const [unborn, lost] = [await session(database, 0), await session(database, 1)]

    expect(await dormants.find(over)).toEqual({ kind: 'ended', status: 'failed', seen: [] })
    const seen = [...dormant(kept, 1).seen, ['b', '']]
    expect(await dormants.find(kept)).toEqual({ kind: 'ended', status: 'terminated', seen })
    expect(await dormants.find(unborn)).toEqual({ kind: 'unborn' })
    expect(await dormants.find(lost)).toEqual({ kind: 'lost' })
    expect(await dormants.find(newSessionId(SHARD))).toEqual({ kind: 'unknown' })
  })

  test('sessions at rest are found in pages, those that are over sooner, and none twice once they are asleep', async () => {
    const { database, dormants } = await begin()
    const ids = [await session(database, 1), await session(database, 1), await session(database, 1, 'completed')]
    await session(database, 0)
    await session(database, 1, 'active', SHARD + 1)
    const find = async (times = SOON) =>
      (await dormants.findResting([SHARD], times, undefined, 10)).map((it) => it.sessionId)

    expect(await find()).toEqual([...ids].sort())
    expect(await find(LONG)).toEqual([])
    expect(await find({ idleMs: 3_600_000, endedMs: 0 })).toEqual([ids[2]])
    const [first] = await dormants.findResting([SHARD], SOON, undefined, 1)
    const rest = await dormants.findResting([SHARD, 9], SOON, first, 10)
    expect([first?.sessionId, ...rest.map((it) => it.sessionId)]).toEqual([...ids].sort())

    await dormants.markAsleep(ids, LONG)
    expect(await find(), 'something was heard of them meanwhile').toHaveLength(3)
    await dormants.markAsleep(ids, SOON)
    expect(await find()).toEqual([])
  })

  test('a session is awake again by a new event, and by being asked for', async () => {
    const { database, dormants } = await begin()
    const [busy, asked] = [await session(database, 1), await session(database, 1)]
    await dormants.keep([{ epoch: 3, session: dormant(asked, 1) }])
    await dormants.markAsleep([busy, asked], SOON)

    await project(database, busy, 2, 2)
    await dormants.find(asked)

    const awake = await dormants.findResting([SHARD], SOON, undefined, 10)
    expect(awake.map((it) => it.sessionId)).toEqual([busy, asked].sort())
    await dormants.markAsleep([asked], LONG)
    expect(await dormants.findResting([SHARD], SOON, undefined, 10)).toHaveLength(2)
  })
})
