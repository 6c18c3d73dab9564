/**
 * What turns cost, added up by the hour: exact, and the same when it is done again.
 */
import { sql } from 'kysely'
import { beforeEach, expect, test } from 'vitest'
import { rollupJob } from '../../../src/coordinator/jobs/rollup.js'
import { newSessionId } from '../../../src/protocol/ids.js'
import type { Database } from '../../../src/storage/database.js'
import { Sessions } from '../../../src/storage/sessions.js'
import { Usage } from '../../../src/storage/usage.js'
import { eachDatabase } from '../../support/databases.js'

eachDatabase((open) => {
  let database: Database
  let usage: Usage

  beforeEach(async () => {
    database = await open()
    usage = new Usage(database)
    for (const table of ['tasks', 'steps', 'usage_hourly']) await sql.raw(`delete from ${table}`).execute(database.sql)
  })

  async function session(tenant: string, orchestratorId: string, type: string): Promise<string> {
    const id = newSessionId(5)
    const row = { id, shard: 5, tenant, owner: tenant, orchestratorId, type, bodyHash: 'h', spawn: '{}' }
    await new Sessions(database).reserve(row)
    return id
  }

  async function turn(id: string, number: number, endedAt: string, calls: readonly [model: string, tokens: number][]) {
    await sql`insert into tasks (session_id, task_id, turn, status, body, started_at, ended_at)
      values (${id}, 't', ${number}, 'completed', '{}', ${endedAt}, ${endedAt})`.execute(database.sql)
    for (const [index, [model, tokens]] of calls.entries()) {
      await sql`insert into steps (session_id, turn, step, kind, ref, model, attempt, status, tokens, cost, started_at)
        values (${id}, ${number}, ${index + 1}, 'model', ${`m${index}`}, ${model}, 1, 'completed', ${tokens},
                ${tokens / 100}, ${endedAt})`.execute(database.sql)
    }
  }

  const run = () => rollupJob(usage).run(new AbortController().signal)
  const all = (tenant: string) => usage.list(tenant, new Date('2026-01-01T00:00:00Z'), new Date('2027-01-01T00:00:00Z'))

  test('turns are counted once for each model in the hour of their end, with tokens and cost', async () => {
    const id = await session('acme', 'o', 'llm')
    await turn(id, 1, '2026-03-01T10:59:59Z', [
      ['small', 10],
      ['small', 20],
      ['large', 5],
    ])
    await turn(id, 2, '2026-03-01T11:00:00Z', [['small', 1]])
    await turn(await session('acme', 'o', 'echo'), 1, '2026-03-01T11:30:00Z', [])
    await turn(await session('other', 'o', 'llm'), 1, '2026-03-01T11:30:00Z', [['small', 7]])

    await run()

    const rows = (await all('acme')).map((row) => [
      ...[row.hour.toISOString().slice(11, 13), row.sessionType, row.model],
      ...[row.turns, row.calls, row.tokens, row.cost],
    ])
    expect(rows).toEqual([
      ['10', 'llm', 'large', 1, 1, 5, 0.05],
      ['10', 'llm', 'small', 1, 2, 30, 0.3],
      ['11', 'echo', '', 1, 0, 0, 0],
      ['11', 'llm', 'small', 1, 1, 1, 0.01],
    ])
    expect(await all('other')).toHaveLength(1)
  })

  test('a second run changes nothing, and a turn that is projected late is added', async () => {
    const id = await session('late', 'o', 'llm')
    await turn(id, 1, '2026-03-01T10:10:00Z', [['m', 3]])
    await run()
    const first = await all('late')

    await run()
    expect(await all('late')).toEqual(first)
    await turn(id, 2, '2026-03-01T10:20:00Z', [['m', 4]])
    await run()

    expect((await all('late')).map(({ turns, tokens }) => [turns, tokens])).toEqual([[2, 7]])
  })

  test('months without a run are caught up in pieces', async () => {
    const id = await session('months', 'o', 'llm')
    for (let day = 1; day <= 28; day += 9) {
      await turn(id, day, `2026-02-${String(day).padStart(2, '0')}T12:00:00Z`, [['m', 1]])
    }

    await run()

    expect((await all('months')).reduce((sum, { turns }) => sum + turns, 0)).toBe(4)
  })
})
