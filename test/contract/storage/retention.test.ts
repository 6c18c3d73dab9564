/**
 * What is removed after its time, in batches, and what stays.
 */
import { sql } from 'kysely'
import { beforeEach, expect, test } from 'vitest'
import { retentionJob } from '../../../src/coordinator/jobs/retention.js'
import { newSessionId } from '../../../src/protocol/ids.js'
import { AuditLog } from '../../../src/storage/audit-log.js'
import { BudgetLedger } from '../../../src/storage/budget-ledger.js'
import type { Database } from '../../../src/storage/database.js'
import { DeadLetters } from '../../../src/storage/dead-letters.js'
import { Events } from '../../../src/storage/events.js'
import { Nodes } from '../../../src/storage/nodes.js'
import { Retention } from '../../../src/storage/retention.js'
import { Sessions } from '../../../src/storage/sessions.js'
import { ShardAssignments } from '../../../src/storage/shard-assignments.js'
import { ToolIntents } from '../../../src/storage/tool-intents.js'
import { Workspaces } from '../../../src/storage/workspaces.js'
import { eachDatabase } from '../../support/databases.js'

const DAY_MS = 86_400_000
const MONTH_MS = 30 * DAY_MS

eachDatabase((open) => {
  let database: Database
  let retention: Retention

  beforeEach(async () => {
    database = await open()
    retention = new Retention(database)
  })

  /** A session with so many events and a file, last touched so many days ago. */
  async function session(status: string, days: number, events: number): Promise<string> {
    const id = newSessionId(3)
    const row = { id, shard: 3, tenant: 'acme', owner: 'acme', orchestratorId: 'o', type: 'echo' }
    await new Sessions(database).reserve({ ...row, bodyHash: 'h', spawn: '{}' })
    await sql`update sessions set status = ${status}, updated_at = now() - ${days}::int * interval '1 day'
              where id = ${id}`.execute(database.sql)
    await sql`insert into events (session_id, epoch, seq, type, body, at)
              select ${id}, 1, n, 'session_spawned', '{}', now() from generate_series(1, ${events}::int) n`.execute(
      database.sql,
    )
    await new Workspaces(database).save(id, [{ path: 'a.txt', mode: 0o644, bytes: Buffer.from(id) }], [])
    return id
  }

  const eventsOf = async (id: string): Promise<string[]> =>
    (await new Events(database).page(id, { epoch: 0, seq: 0 }, undefined, 1_000)).map(({ eventId }) => eventId)

  async function purgeAll(limit: number): Promise<number[]> {
    const removed: number[] = []
    for (;;) {
      removed.push(await retention.purgeSessions(MONTH_MS, limit))
      if ((removed.at(-1) ?? 0) < limit) return removed
    }
  }

  test('of sessions that ended long ago only the last event stays, and their files go', async () => {
    const old = await session('completed', 31, 25)
    const young = await session('completed', 29, 5)
    const open = await session('active', 100, 5)

    const removed = await purgeAll(10)

    expect(await eventsOf(old)).toEqual(['1-25'])
    expect(await eventsOf(young)).toHaveLength(5)
    expect(await eventsOf(open)).toHaveLength(5)
    expect(removed.length).toBeGreaterThanOrEqual(3)
    expect(await new Workspaces(database).load(old)).toEqual([])
    expect(await new Workspaces(database).load(young)).toHaveLength(1)
    expect(await retention.purgeSessions(MONTH_MS, 10)).toBe(0)
    const noted = await new AuditLog(database).list({ tenant: 'acme', action: 'session.purged', limit: 100 })
    expect(noted.flatMap(({ detail }) => detail.sessions)).toContain(old)
    expect(noted.flatMap(({ detail }) => detail.sessions)).not.toContain(young)
  })

  test('what is left of a session at any time is an unbroken end of its log', async () => {
    const old = await session('failed', 40, 25)

    await retention.purgeSessions(MONTH_MS, 10)
    const left = await eventsOf(old)

    expect(left).toEqual(Array.from({ length: left.length }, (_, index) => `1-${25 - left.length + 1 + index}`))
    expect(left.length).toBeLessThan(25)
    await purgeAll(10)
  })

  test('dead letters go after their time', async () => {
    const letters = new DeadLetters(database)
    const letter = { sessionId: newSessionId(1), tenant: 'letters', command: '{}', attempts: 3, reason: 'r' }
    await letters.record({ ...letter, id: 'young' })
    await letters.record({ ...letter, id: 'old' })
    await sql`update dead_letters set at = now() - interval '31 days' where id = 'old'`.execute(database.sql)

    await retention.purgeDeadLetters(MONTH_MS, 10)

    expect((await letters.list('letters', 10)).map(({ id }) => id)).toEqual(['young'])
  })

  /** A note that a session's tool call began so many days ago. */
  async function intent(sessionId: string, days: number): Promise<void> {
    const place = { sessionId, commandId: `c-${days}`, step: 1, position: 0 }
    await new ToolIntents(database).begin({ ...place, callId: 'call', tool: 'bash_execute', token: 't' })
    await sql`update tool_intents set at = now() - ${days}::int * interval '1 day'
              where session_id = ${sessionId} and command_id = ${`c-${days}`}`.execute(database.sql)
  }

  /** A turn of a session; one that began and did not end has no `endedDays`. */
  async function turn(sessionId: string, number: number, endedDays?: number): Promise<void> {
    const status = endedDays === undefined ? 'in_progress' : 'completed'
    await sql`insert into tasks (session_id, turn, task_id, status, body, started_at, ended_at)
              values (${sessionId}, ${number}, 'task', ${status}, '{}', now() - interval '50 days',
                      now() - ${endedDays ?? null}::int * interval '1 day')`.execute(database.sql)
  }

  const intentsOf = async (id: string): Promise<string[]> => {
    const { rows } = await sql<{ command: string }>`
      select command_id as command from tool_intents where session_id = ${id} order by command_id`.execute(database.sql)
    return rows.map(({ command }) => command)
  }

  test('notes of tool calls go after their time, but never those of a turn that has not ended', async () => {
    const lives = await session('active', 0, 1)
    for (const days of [29, 31, 40]) await intent(lives, days)
    await turn(lives, 1, 30)
    const inTurn = await session('active', 0, 1)
    await intent(inTurn, 40)
    await turn(inTurn, 1, 45)
    await turn(inTurn, 2)
    const unknownTurn = await session('active', 0, 1)
    await intent(unknownTurn, 40)
    await turn(unknownTurn, 1, 45)
    const ended = await session('failed', 35, 1)
    await intent(ended, 40)

    while ((await retention.purgeToolIntents(MONTH_MS, 2)) === 2);

    expect(await intentsOf(lives)).toEqual(['c-29'])
    expect(await intentsOf(inTurn)).toEqual(['c-40'])
    expect(await intentsOf(unknownTurn)).toEqual(['c-40'])
    expect(await intentsOf(ended)).toEqual([])
  })

  test('nodes that ended go after their time, unless a shard remembers them', async () => {
    const nodes = new Nodes(database)
    const assignments = new ShardAssignments(database)
    await assignments.ensureShards(1)
    for (const id of ['gone@1', 'remembered@1', 'lives@1']) {
      await nodes.register({ id, name: 'n', role: 'worker', version: '2.0.0', capacity: 1 })
    }
    const [row] = await assignments.list()
    await assignments.assign([{ shard: 0, expectedEpoch: row?.epoch ?? 0, owner: 'remembered@1' }], undefined)
    for (const id of ['gone@1', 'remembered@1']) await nodes.setStatus(id, 'dead')
    await sql`update nodes set ended_at = now() - interval '8 days' where ended_at is not null`.execute(database.sql)

    await retention.purgeNodes(7 * DAY_MS, 10)

    expect(await nodes.find('gone@1')).toBeUndefined()
    expect(await nodes.find('remembered@1')).toBeDefined()
    expect(await nodes.find('lives@1')).toBeDefined()
  })

  test('a run of the job removes contents without files, and what sessions left unless it is told to keep it for ever', async () => {
    const old = await session('completed', 500, 5)
    const ages = { auditOlderThanMs: undefined }
    const workspaces = new Workspaces(database)
    await workspaces.save(old, [], ['a.txt'])
    await intent(old, 500)
    const contents = async () =>
      (
        await sql<{ n: number }>`select count(*)::int as n from workspace_blobs b
        where not exists (select from workspace_files f where f.hash = b.hash)`.execute(database.sql)
      ).rows[0]?.n
    expect(await contents()).toBeGreaterThan(0)

    await retentionJob({
      retention,
      workspaces,
      ledger: new BudgetLedger(database),
      ...ages,
      olderThanMs: undefined,
    }).run(new AbortController().signal)

    expect(await contents()).toBe(0)
    expect(await eventsOf(old)).toHaveLength(5)
    expect(await intentsOf(old)).toHaveLength(1)

    await retentionJob({
      retention,
      workspaces,
      ledger: new BudgetLedger(database),
      ...ages,
      olderThanMs: MONTH_MS,
    }).run(new AbortController().signal)

    expect(await eventsOf(old)).toHaveLength(1)
    expect(await intentsOf(old)).toEqual([])
  })
})
