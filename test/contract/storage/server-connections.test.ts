/**
 * Connections to a PostgreSQL server: what breaks is replaced, what hangs holds nobody up.
 */
import { sql } from 'kysely'
import { beforeEach, expect, test } from 'vitest'
import { type Database, openDatabase } from '../../../src/storage/database.js'
import { onServer } from '../../support/databases.js'

onServer((open) => {
  let database: Database
  beforeEach(async () => {
    database = await open()
    await sql`drop table if exists numbers`.execute(database.sql)
    await sql`create table numbers (value int)`.execute(database.sql)
  })

  test('a connection that the server ends is replaced, and its transaction is undone', async () => {
    const cut = database.sql.transaction().execute(async (transaction) => {
      await sql`insert into numbers values (${1})`.execute(transaction)
      await sql`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()`.execute(transaction)
      await sql`select pg_terminate_backend(pg_backend_pid())`.execute(transaction)
      await sql`insert into numbers values (${2})`.execute(transaction)
    })

    await expect(cut).rejects.toThrow('terminat')
    const { rows } = await sql`select * from numbers`.execute(database.sql)
    expect(rows).toEqual([])
  })

  test('a process that stops inside a transaction loses its locks within seconds', { timeout: 20_000 }, async () => {
    await sql`insert into numbers values (1)`.execute(database.sql)
    let resume: () => void = () => {}
    const stopped = new Promise<void>((resolve) => {
      resume = resolve
    })
    let hold: () => void = () => {}
    const holds = new Promise<void>((resolve) => {
      hold = resolve
    })
    const zombie = database.sql.transaction().execute(async (transaction) => {
      await sql`update numbers set value = 2`.execute(transaction)
      hold()
      await stopped
      await sql`update numbers set value = 3`.execute(transaction)
    })

    await holds
    // Waits for the row until the server has ended the other transaction.
    await sql`update numbers set value = value + 10`.execute(database.sql)
    resume()

    await expect(zombie).rejects.toThrow()
    const { rows } = await sql`select value from numbers`.execute(database.sql)
    expect(rows).toEqual([{ value: 11 }])
  })

  test('a server that is not there is named in one sentence', async () => {
    const config = {
      kind: 'postgres',
      url: 'postgres://localhost:1/none',
      poolSize: 1,
      connectTimeoutMs: 1_000,
    } as const

    await expect(openDatabase(config)).rejects.toThrow(/^The database does not answer \(.*ECONNREFUSED.*\)/)
  })
})
