/**
 * The lead of the cluster: one holder at a time, and terms that only rise.
 */
import { sql } from 'kysely'
import { beforeEach, expect, test } from 'vitest'
import type { Database } from '../../../src/storage/database.js'
import { LeaderLease } from '../../../src/storage/leader.js'
import { eachDatabase } from '../../support/databases.js'

const LONG_MS = 60_000

eachDatabase((open) => {
  let database: Database
  let lease: LeaderLease
  beforeEach(async () => {
    database = await open()
    lease = new LeaderLease(database)
    await sql`delete from leader`.execute(database.sql)
  })

  const runOut = () => sql`update leader set expires_at = now() - interval '1 second'`.execute(database.sql)

  test('D-12: of many candidates exactly one gets the lead', async () => {
    const results = await Promise.all(Array.from({ length: 20 }, (_, n) => lease.campaign(`c-${n}`, LONG_MS)))

    expect(results.filter((result) => result !== undefined)).toEqual([{ term: 1 }])
  })

  test('a lease that ran out passes on under the next term, and the former leader cannot renew it', async () => {
    await lease.campaign('first', LONG_MS)
    expect(await lease.renew('first', 1, LONG_MS)).toBe(true)
    await runOut()

    expect(await lease.campaign('second', LONG_MS)).toEqual({ term: 2 })

    expect(await lease.renew('first', 1, LONG_MS)).toBe(false)
    expect(await lease.renew('second', 2, LONG_MS)).toBe(true)
  })

  test('a leader that overslept its lease has lost it, even when nobody took it', async () => {
    await lease.campaign('sleeper', LONG_MS)
    await runOut()

    expect(await lease.renew('sleeper', 1, LONG_MS)).toBe(false)
  })

  test('the lease lasts as long as asked for', async () => {
    await lease.campaign('holder', LONG_MS)

    const { rows } = await sql<{ ms: number }>`
      select extract(epoch from expires_at - now())::float8 * 1000 as ms from leader`.execute(database.sql)

    expect(rows[0]?.ms).toBeGreaterThan(LONG_MS - 10_000)
    expect(rows[0]?.ms).toBeLessThanOrEqual(LONG_MS)
  })

  test('who resigns frees the lead at once, and only its own', async () => {
    await lease.campaign('first', LONG_MS)
    await lease.resign('another', 1)
    expect(await lease.campaign('second', LONG_MS)).toBeUndefined()

    await lease.resign('first', 1)

    expect(await lease.campaign('second', LONG_MS)).toEqual({ term: 2 })
  })
})
