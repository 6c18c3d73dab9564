/**
 * `POST /api/sessions/cleanup` (row H-03): ends sessions in which nothing happens, one's own, and none that has work.
 */
import { sql } from 'kysely'
import { beforeAll, expect, test, vi } from 'vitest'
import { type House, openHouse, type Requester } from './http-fixture.js'

const PATIENCE = { timeout: 15_000, interval: 20 } as const
let house: House
beforeAll(async () => {
  house = await openHouse()
})

/** Its first task is over, and the database knows all that happened: nothing is written to the row any more. */
async function projected(owner: Requester, id: string): Promise<void> {
  const { events, head } = (await owner.get(`/api/sessions/${id}/events`)).body
  expect(events.map(({ type }: { type: string }) => type)).toContain('task_completed')
  const { rows } = await sql<{ seq: string }>`
    select derived_epoch || '-' || derived_seq as seq from sessions where id = ${id}`.execute(house.database.sql)
  expect(rows[0]?.seq).toBe(head)
}

/** Lets an hour pass for sessions whose first task is over. */
async function idle(owner: Requester, count: number): Promise<string[]> {
  const ids: string[] = []
  for (let n = 0; n < count; n++) ids.push(await owner.spawn())
  for (const id of ids) await vi.waitFor(() => projected(owner, id), PATIENCE)
  await sql`update sessions set updated_at = updated_at - interval '1 hour' where id = any (${ids}::text[])`.execute(
    house.database.sql,
  )
  return ids
}

const statusOf = async (asker: Requester, id: string) => (await asker.get(`/api/sessions/${id}`)).body.status

test('H-03: idle sessions are ended, and those with work or of late go on', async () => {
  const alice = await house.as('alice', 'cleaned', 'admin')
  const old = await idle(alice, 2)
  const fresh = await alice.spawn()
  const busy = await alice.spawn({ task: '{"count":100000,"delayMs":50}' })
  await vi.waitFor(
    async () => expect((await alice.get(`/api/sessions/${busy}/turns`)).body.turns).toHaveLength(1),
    PATIENCE,
  )
  await sql`update sessions set updated_at = now() - interval '1 hour' where id = ${busy}`.execute(house.database.sql)

  const { status, body } = await alice.post('/api/sessions/cleanup', {})

  expect(status).toBe(200)
  expect(body.stopped.sort()).toEqual(old.sort())
  expect(body.more).toBe(false)
  await vi.waitFor(async () => {
    for (const id of old) expect(await statusOf(alice, id)).toBe('completed')
  }, PATIENCE)
  expect([await statusOf(alice, fresh), await statusOf(alice, busy)]).toEqual(['active', 'active'])
  await alice.post(`/api/sessions/${busy}/stop`)
})

test('H-03: it works as the reference is called, without a body, and says beforehand what it would do', async () => {
  const alice = await house.as('alice', 'asked', 'admin')
  const [id] = await idle(alice, 1)

  expect((await alice.post('/api/sessions/cleanup', { dryRun: true })).body).toEqual({ stopped: [id], more: false })
  expect((await alice.post('/api/sessions/cleanup', { idleMs: 2 * 3_600_000 })).body.stopped).toEqual([])
  expect((await alice.post('/api/sessions/cleanup')).body.stopped).toEqual([id])
})

test('a user cleans up its own sessions, and nobody those of another tenant', async () => {
  const [alice, bob] = [await house.as('alice', 'shared', 'user'), await house.as('bob', 'shared', 'user')]
  const stranger = await house.as('alice', 'elsewhere', 'admin')
  const [hers, his] = [await idle(alice, 1), await idle(bob, 1)]

  expect((await stranger.post('/api/sessions/cleanup')).body.stopped).toEqual([])
  expect((await alice.post('/api/sessions/cleanup')).body.stopped).toEqual(hers)
  expect(await statusOf(bob, his[0] ?? '')).toBe('active')
  expect(await (await house.as('eve', 'shared', 'readonly')).post('/api/sessions/cleanup')).toMatchObject({
    status: 403,
  })
})

test('many are ended some at a time', async () => {
  const alice = await house.as('alice', 'many', 'admin')
  const ids = await idle(alice, 3)

  const first = await alice.post('/api/sessions/cleanup', { limit: 2 })

  expect([first.body.stopped.length, first.body.more]).toEqual([2, true])
  // The database hears of an end a moment later; until then the same ones are looked at again.
  await vi.waitFor(async () => {
    await alice.post('/api/sessions/cleanup', { limit: 2 })
    for (const id of ids) expect(await statusOf(alice, id)).toBe('completed')
  }, PATIENCE)
})
