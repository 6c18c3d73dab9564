/**
 * A spawn is reserved once under its key, found again until a worker has it, and listed page by page.
 */
import { sql } from 'kysely'
import { beforeEach, expect, test } from 'vitest'
import { newSessionId } from '../../../src/protocol/ids.js'
import type { Database } from '../../../src/storage/database.js'
import { SessionList } from '../../../src/storage/session-list.js'
import { type NewSession, Sessions } from '../../../src/storage/sessions.js'
import { eachDatabase } from '../../support/databases.js'

const SHARD = 7
/** Unusual spacing, order and characters: what must come back byte by byte. */
const SPAWN = '{ "z":1,\n\t"a" : "ünï \\u0000 \\ud83d\\ude00 😀", "a": 2.50 }'

function spawnOf(changes: Partial<NewSession> = {}): NewSession {
  const id = newSessionId(SHARD)
  return { id, shard: SHARD, tenant: 'acme', orchestratorId: 'o', type: 'llm', bodyHash: 'h', spawn: SPAWN, ...changes }
}

eachDatabase((open) => {
  let database: Database
  let sessions: Sessions
  beforeEach(async () => {
    database = await open()
    sessions = new Sessions(database)
    await sql`truncate sessions`.execute(database.sql)
  })

  test('of 20 parallel spawns with one key exactly one is new, and all name the same session', async () => {
    const spawns = Array.from({ length: 20 }, () => spawnOf({ idemKey: 'key' }))

    const reserved = await Promise.all(spawns.map((spawn) => sessions.reserve(spawn)))

    expect(reserved.filter(({ status }) => status === 'new')).toHaveLength(1)
    expect(reserved.filter(({ status }) => status === 'existing')).toHaveLength(19)
    expect(new Set(reserved.map(({ id }) => id)).size).toBe(1)
  })

  test('whoever comes again learns the shard, the body, and whether it was submitted', async () => {
    const first = spawnOf({ idemKey: 'key' })
    await sessions.reserve(first)

    const again = spawnOf({ idemKey: 'key', spawn: '{"other":"text, same hash"}' })
    const before = await sessions.reserve(again)
    await sessions.markSubmitted(first.id)
    const after = await sessions.reserve(again)

    expect(before).toEqual({ status: 'existing', id: first.id, shard: SHARD, submitted: false, spawn: SPAWN })
    expect(after).toMatchObject({ submitted: true })
  })

  test('the same key with another body is a conflict', async () => {
    const first = spawnOf({ idemKey: 'key' })
    await sessions.reserve(first)

    const other = await sessions.reserve(spawnOf({ idemKey: 'key', bodyHash: 'another' }))

    expect(other).toEqual({ status: 'conflict', id: first.id })
  })

  test('tenants do not share keys, and sessions without a key never meet', async () => {
    const reserved = await Promise.all([
      sessions.reserve(spawnOf({ idemKey: 'key' })),
      sessions.reserve(spawnOf({ idemKey: 'key', tenant: 'other' })),
      sessions.reserve(spawnOf()),
      sessions.reserve(spawnOf()),
    ])

    expect(reserved.map(({ status }) => status)).toEqual(['new', 'new', 'new', 'new'])
  })

  test('a reservation without a key may be repeated with the same id', async () => {
    const spawn = spawnOf()
    await sessions.reserve(spawn)

    expect(await sessions.reserve(spawn)).toMatchObject({ status: 'existing', id: spawn.id })
  })

  test('a reserved session is found with its body byte by byte', async () => {
    const spawn = spawnOf()
    await sessions.reserve(spawn)

    expect(await sessions.find(spawn.id)).toMatchObject({
      id: spawn.id,
      tenant: 'acme',
      status: 'initializing',
      submitted: false,
      snapshot: null,
      spawn: SPAWN,
      createdAt: expect.any(Date),
    })
    expect(await sessions.find(newSessionId(SHARD))).toBeUndefined()
  })

  test('spawns that no worker has seen are found by shard and age', async () => {
    const [lost, submitted, elsewhere] = [spawnOf(), spawnOf(), spawnOf({ shard: SHARD + 1 })]
    for (const spawn of [lost, submitted, elsewhere]) await sessions.reserve(spawn)
    await sessions.markSubmitted(submitted.id)

    expect(await sessions.findUnsubmitted([SHARD], 0, 10)).toEqual([
      { id: lost.id, shard: SHARD, tenant: 'acme', spawn: SPAWN },
    ])
    expect(await sessions.findUnsubmitted([SHARD, SHARD + 1], 0, 10)).toHaveLength(2)
    expect(await sessions.findUnsubmitted([SHARD, SHARD + 1], 0, 1)).toHaveLength(1)
    expect(await sessions.findUnsubmitted([SHARD], 60_000, 10)).toEqual([])
  })

  test('pages go through all sessions of a tenant once, newest first, while new ones arrive', async () => {
    for (let n = 0; n < 7; n++) await sessions.reserve(spawnOf())
    await sessions.reserve(spawnOf({ tenant: 'other' }))
    // Several of one moment: then the id decides.
    await sql`update sessions set created_at = date_trunc('second', created_at)`.execute(database.sql)
    const expected = await database.sql
      .selectFrom('sessions')
      .select('id')
      .where('tenant', '=', 'acme')
      .orderBy('created_at', 'desc')
      .orderBy('id', 'desc')
      .execute()

    const seen: string[] = []
    let cursor: string | undefined
    do {
      const page = await new SessionList(database).page('acme', { limit: 3, cursor })
      seen.push(...page.sessions.map(({ id }) => id))
      cursor = page.cursor
      await sessions.reserve(spawnOf())
    } while (cursor !== undefined)

    expect(seen).toEqual(expected.map(({ id }) => id))
  })

  test.each(['', 'nonsense', Buffer.from('2026-99-99T00:00:00.000Z session_x').toString('base64url')])(
    'the cursor %j is refused as invalid',
    async (cursor) => {
      await expect(new SessionList(database).page('acme', { limit: 3, cursor })).rejects.toMatchObject({
        code: 'invalid_payload',
      })
    },
  )
})
