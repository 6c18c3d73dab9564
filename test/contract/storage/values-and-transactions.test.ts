/**
 * What every database must agree on before anything else can: values, and transactions that nobody looks into.
 */
import { sql } from 'kysely'
import { beforeEach, expect, test } from 'vitest'
import type { Database } from '../../../src/storage/database.js'
import { eachDatabase } from '../../support/databases.js'

eachDatabase((open) => {
  let database: Database
  beforeEach(async () => {
    database = await open()
    await sql`drop table if exists numbers`.execute(database.sql)
    await sql`create table numbers (value int)`.execute(database.sql)
  })

  test('values arrive as the same JavaScript types from every database', async () => {
    const { rows } = await sql`
      select 7::bigint as bigint, 1.25::numeric as numeric, count(*) as count, '{"b":1,"a":[2]}'::json as json,
        '{"a":null}'::jsonb as jsonb, timestamptz '2026-01-02T03:04:05.678Z' as at, '\\x00ff'::bytea as bytes,
        array['x', null]::text[] as texts`.execute(database.sql)

    expect(rows).toEqual([
      {
        bigint: 7,
        numeric: 1.25,
        count: 1,
        json: { b: 1, a: [2] },
        jsonb: { a: null },
        at: new Date('2026-01-02T03:04:05.678Z'),
        bytes: Buffer.from([0x00, 0xff]),
        texts: ['x', null],
      },
    ])
  })

  test('a transaction that fails is undone and does not hold up the next one', async () => {
    const failed = database.sql.transaction().execute(async (transaction) => {
      await sql`insert into numbers values (${1})`.execute(transaction)
      throw new Error('changed my mind')
    })

    await expect(failed).rejects.toThrow('changed my mind')
    const { rows } = await sql`select * from numbers`.execute(database.sql)
    expect(rows).toEqual([])
  })

  test('queries beside an open transaction do not see it and wait for no more than its end', async () => {
    let beside: Promise<unknown> = Promise.resolve()

    await database.sql
      .transaction()
      .execute(async (transaction) => {
        await sql`insert into numbers values (${1})`.execute(transaction)
        beside = sql`insert into numbers values (${2})`.execute(database.sql)
        await sql`insert into numbers values (${3})`.execute(transaction)
        throw new Error('undone')
      })
      .catch(() => {})

    await beside
    const { rows } = await sql`select value from numbers`.execute(database.sql)
    expect(rows).toEqual([{ value: 2 }])
  })

  test('changed rows are counted, also when there are none', async () => {
    await database.sql.insertInto('leader').values({ term: 1, holder: 'a', expires_at: new Date() }).execute()

    const some = await database.sql.updateTable('leader').set({ holder: 'b' }).executeTakeFirstOrThrow()
    const none = await database.sql.deleteFrom('leader').where('holder', '=', 'a').executeTakeFirstOrThrow()

    expect(some.numUpdatedRows).toBe(1n)
    expect(none.numDeletedRows).toBe(0n)
  })

  test('a refused statement says why by its SQLSTATE', async () => {
    const refused = sql`insert into leader (singleton, term, holder, expires_at) values (false, 1, 'x', now())`

    await expect(refused.execute(database.sql)).rejects.toMatchObject({ code: '23514' })
  })
})
