/**
 * The federation's rows: who is there by the database's clock, who sees to a delegation, and that each step is taken once.
 */
import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { delegationSchema, registrationSchema } from '../../../src/protocol/federation.js'
import { newSessionId } from '../../../src/protocol/ids.js'
import type { Database } from '../../../src/storage/database.js'
import { type DelegationRow, Delegations } from '../../../src/storage/delegations.js'
import { FederationContext } from '../../../src/storage/federation-context.js'
import { FederationInbox } from '../../../src/storage/federation-inbox.js'
import { FederationOrchestrators } from '../../../src/storage/federation-orchestrators.js'
import { Sessions } from '../../../src/storage/sessions.js'
import { TaskEnds } from '../../../src/storage/task-ends.js'
import { eachDatabase, openConnections } from '../../support/databases.js'

const LEASE_MS = 60_000
const tenantName = (): string => `t-${randomUUID()}`
const registration = (id: string, more: object = {}) => registrationSchema.parse({ id, sessionType: 'echo', ...more })
const result = (status: 'completed' | 'failed') =>
  ({ delegationId: 'd', taskId: 't', status, orchestrator: 'o', sessionId: null, attempts: 1, durationMs: 1 }) as const

function fixtureOn(database: Database) {
  const tenant = tenantName()
  const delegations = new Delegations(database)
  const orchestrators = new FederationOrchestrators(database)
  const create = (id: string, more: object = {}) => {
    const request = delegationSchema.parse({ id, task: 'x', ...more })
    return delegations.create({ tenant, owner: 'alice', id, bodyHash: JSON.stringify(more), request })
  }
  const find = async (id: string): Promise<DelegationRow> => {
    const row = await delegations.find({ tenant, id })
    if (!row) throw new Error(`no delegation ${id}`)
    return row
  }
  const silentFor = (seconds: number) =>
    sql`update federation_orchestrators set heartbeat_at = now() - ${seconds}::int * interval '1 second'
      where tenant = ${tenant}`.execute(database.sql)
  const expireLeases = () =>
    sql`update federation_delegations set watched_until = now() where tenant = ${tenant}`.execute(database.sql)
  // Claims reach over all tenants; those of other tests are left alone by whoever asks for this tenant's.
  const claim = async (watcher: string) =>
    (await delegations.claim(watcher, LEASE_MS, 1_000)).filter((row) => row.tenant === tenant).map(({ id }) => id)
  return { tenant, delegations, orchestrators, create, find, silentFor, expireLeases, claim }
}

eachDatabase((open) => {
  test('a delegation keeps where in a trace it was asked for, whoever sees to it', async () => {
    const { tenant, delegations, create } = fixtureOn(await open())
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const request = delegationSchema.parse({ id: 'traced', task: 'x' })
    await delegations.create({ tenant, owner: 'alice', id: 'traced', bodyHash: 'h', request, traceparent })
    await create('plain')

    const claimed = (await delegations.claim('w', LEASE_MS, 1_000)).filter((row) => row.tenant === tenant)

    expect(Object.fromEntries(claimed.map((row) => [row.id, row.traceparent]))).toEqual({
      traced: traceparent,
      plain: null,
    })
  })

  test('D-18: half a minute of silence makes an orchestrator offline, and five minutes make it gone', async () => {
    const { tenant, orchestrators, silentFor } = fixtureOn(await open())
    const statusOf = async () => (await orchestrators.find(tenant, 'o'))?.status
    await orchestrators.register(tenant, registration('o'))

    const seen = [await statusOf()]
    await silentFor(31)
    seen.push(await statusOf())
    expect(await orchestrators.heartbeat(tenant, 'o', { activeSessions: 10 })).toBe(true)
    seen.push(await statusOf())
    await silentFor(301)
    seen.push(await statusOf())

    expect(seen).toEqual(['online', 'offline', 'busy', undefined])
    expect(await orchestrators.heartbeat(tenant, 'o', {})).toBe(false)
    await orchestrators.removeGone()
    expect(await orchestrators.unregister(tenant, 'o')).toBe(false)
  })

  test('D-18: how the last attempts at an orchestrator ended is known with it, of each kind the last twenty', async () => {
    const { tenant, orchestrators, delegations, create, find } = fixtureOn(await open())
    await orchestrators.register(tenant, registration('o', { maxSessions: 100 }))
    const attempt = async (id: string, end: 'completed' | 'failed' | 'cancelled' | 'postponed') => {
      await create(id)
      const row = await delegations.assign(await find(id), 'o', 'echo')
      if (!row) throw new Error('there was room')
      if (end === 'postponed') await delegations.postpone(row, 0)
      else expect(await delegations.finish(row, { ...result('failed'), status: end })).toBe(true)
      return row
    }
    const ends = async () =>
      ((await orchestrators.find(tenant, 'o'))?.outcomes ?? []).map(({ failed }) => (failed ? 'x' : 'o')).sort()

    const [first] = [await attempt('a', 'completed'), await attempt('b', 'failed'), await attempt('c', 'cancelled')]
    await attempt('d', 'postponed')
    expect(await ends()).toEqual(['o', 'x', 'x'])
    expect(await delegations.finish(first, result('failed')), 'it has ended').toBe(false)
    expect(await ends()).toEqual(['o', 'x', 'x'])
    for (let index = 0; index < 25; index++) await attempt(`more-${index}`, 'completed')

    expect((await ends()).join('')).toBe(`${'o'.repeat(20)}xx`)
    const ages = (await orchestrators.find(tenant, 'o'))?.outcomes.map(({ ageMs }) => ageMs) ?? []
    expect(Math.min(...ages)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...ages)).toBeLessThan(120_000)
    await orchestrators.register(tenant, registration('o'))
    expect((await ends()).length, 'a program that comes back is still who it was').toBe(22)
  })

  test('what has found no target says nothing of anybody, and of a few trials no more begin at one time', async () => {
    const { tenant, orchestrators, delegations, create, find } = fixtureOn(await open())
    await orchestrators.register(tenant, registration('o', { maxSessions: 100 }))
    await create('none')
    await delegations.postpone(await find('none'), 0)
    const begun = []
    for (const id of ['a', 'b', 'c', 'd']) {
      await create(id)
      begun.push((await delegations.assign(await find(id), 'o', 'echo', 3)) !== undefined)
    }

    expect(begun).toEqual([true, true, true, false])
    expect((await orchestrators.find(tenant, 'o'))?.outcomes).toEqual([])
  })

  test('D-14: orchestrators are found by what they can do, where they are and what room they have', async () => {
    const { tenant, orchestrators } = fixtureOn(await open())
    await orchestrators.register(tenant, registration('a', { capabilities: ['x', 'y'], region: 'eu', groups: ['g'] }))
    await orchestrators.register(tenant, registration('b', { capabilities: ['x'], maxSessions: 1, maxTokens: 100 }))
    await orchestrators.heartbeat(tenant, 'b', { tokensUsed: 60 })
    const found = async (query: object) => (await orchestrators.list(tenant, query)).map(({ id }) => id)

    expect(await found({})).toEqual(['a', 'b'])
    expect(await found({ capabilities: ['x', 'y'] })).toEqual(['a'])
    expect(await found({ region: 'eu', group: 'g', status: 'online' })).toEqual(['a'])
    expect(await found({ minAvailableSessions: 2 })).toEqual(['a'])
    expect(await found({ minAvailableTokens: 50 })).toEqual(['a'])
    expect(await found({ minAvailableTokens: 40 })).toEqual(['a', 'b'])
  })

  test('nobody sees what belongs to another tenant', async () => {
    const database = await open()
    const [mine, other] = [fixtureOn(database), fixtureOn(database)]
    const [context, inbox] = [new FederationContext(database), new FederationInbox(database)]
    await mine.orchestrators.register(mine.tenant, registration('o'))
    await mine.create('d')
    await context.change(mine.tenant, 'g', { key: 'k', value: 1, expected: 0, by: 'o' })
    await inbox.send(mine.tenant, { id: 'b', sender: 's', body: 1, receivers: ['o'], lifetimeMs: 60_000 })

    expect(await other.orchestrators.list(other.tenant)).toEqual([])
    expect(await other.delegations.find({ tenant: other.tenant, id: 'd' })).toBeUndefined()
    expect(await other.delegations.requestCancel({ tenant: other.tenant, id: 'd' })).toBe(false)
    expect(await context.list(other.tenant, 'g')).toEqual([])
    expect(await inbox.read(other.tenant, 'o')).toEqual([])
    expect(await inbox.acknowledge(other.tenant, 'o', 'b')).toBe(false)
    expect(await other.create('d')).toBe('new')
  })

  test('of many who create one delegation one is new, and another body is a conflict', async () => {
    const database = await open()
    await openConnections(database)
    const { create } = fixtureOn(database)

    const created = await Promise.all(Array.from({ length: 6 }, () => create('d')))

    expect(created.sort()).toEqual(['existing', 'existing', 'existing', 'existing', 'existing', 'new'])
    expect(await create('d', { from: 'somebody' })).toBe('conflict')
  })

  test('a delegation has one watcher until its lease runs out, and then another', async () => {
    const { tenant, delegations, create, claim, expireLeases } = fixtureOn(await open())
    await create('d')

    expect(await claim('first')).toEqual(['d'])
    expect(await claim('second')).toEqual([])
    expect(await delegations.renew('first', [{ tenant, id: 'd' }], LEASE_MS)).toHaveLength(1)
    await expireLeases()
    expect(await claim('second')).toEqual(['d'])
    expect(await delegations.renew('first', [{ tenant, id: 'd' }], LEASE_MS)).toEqual([])
    await delegations.letGo('second')
    expect(await claim('third')).toEqual(['d'])
  })

  test('one of several who begin the same attempt begins it, and an orchestrator gets no more than it has room for', async () => {
    const database = await open()
    await openConnections(database)
    const { tenant, delegations, orchestrators, create, find } = fixtureOn(database)
    await orchestrators.register(tenant, registration('o', { maxSessions: 2 }))
    for (const id of ['a', 'b', 'c']) await create(id)
    const rows = await Promise.all(['a', 'a', 'b', 'c'].map(find))

    const assigned = await Promise.all(rows.map((row) => delegations.assign(row, 'o', 'llm')))

    expect(assigned.filter((row) => row !== undefined)).toHaveLength(2)
    expect(await orchestrators.find(tenant, 'o')).toMatchObject({ activeSessions: 2, status: 'busy' })
    expect(assigned.find((row) => row !== undefined)).toMatchObject({ attempt: 1, sessionType: 'echo', reused: false })
  })

  test('an attempt goes on in a session that its owner has there, and no two in the same', async () => {
    const database = await open()
    const { tenant, delegations, orchestrators, create, find } = fixtureOn(database)
    await orchestrators.register(tenant, registration('o'))
    const sessions = new Sessions(database)
    const row = { shard: 0, tenant, orchestratorId: 'o', type: 'echo', bodyHash: 'h', spawn: '{}' }
    const [hers, his] = [newSessionId(0), newSessionId(0)]
    for (const [id, owner] of [[hers, 'alice'] as const, [his, 'bob'] as const]) {
      await sessions.reserve({ ...row, id, owner })
      await sessions.markSubmitted(id)
    }
    for (const id of ['a', 'b']) await create(id)

    const first = await delegations.assign(await find('a'), 'o', 'llm')
    const second = await delegations.assign(await find('b'), 'o', 'llm')

    expect(first).toMatchObject({ sessionId: hers, reused: true })
    expect(second).toMatchObject({ sessionId: null, reused: false })
  })

  test('a result is written once, and only for the attempt that it is of', async () => {
    const { tenant, delegations, orchestrators, create, find, claim } = fixtureOn(await open())
    await orchestrators.register(tenant, registration('o'))
    await create('d')
    const first = await delegations.assign(await find('d'), 'o', 'llm')
    if (!first) throw new Error('there is room')
    await delegations.postpone(first, 0)
    await delegations.postpone(first, 0)
    const postponed = await find('d')
    const second = await delegations.assign(postponed, 'o', 'llm')
    if (!second) throw new Error('there is room')

    expect(postponed).toMatchObject({ failures: 1, tried: ['o'], target: null, attempt: 1 })
    expect(await delegations.finish(first, result('failed'))).toBe(false)
    expect(await delegations.finish(second, result('completed'))).toBe(true)
    expect(await delegations.finish(second, result('failed'))).toBe(false)
    expect(await find('d')).toMatchObject({ status: 'completed', result: { status: 'completed' } })
    expect(await claim('anybody')).toEqual([])
  })

  test('a message waits for each receiver until it is acknowledged or has expired, and is sent once', async () => {
    const database = await open()
    const inbox = new FederationInbox(database)
    const tenant = tenantName()
    const message = { id: 'm', sender: 's', body: { a: 1 }, receivers: ['a', 'b'], lifetimeMs: 60_000 }
    const waiting = async (who: string) => (await inbox.read(tenant, who)).map(({ id }) => id)

    expect(await inbox.send(tenant, message)).toEqual(['a', 'b'])
    expect(await inbox.send(tenant, message)).toEqual(['a', 'b'])
    await inbox.send(tenant, { ...message, id: 'short', lifetimeMs: 0 })
    expect(await inbox.acknowledge(tenant, 'a', 'm')).toBe(true)

    expect([await waiting('a'), await waiting('b')]).toEqual([[], ['m']])
    expect(await inbox.delivery(tenant, 'm')).toEqual({ delivered: ['a', 'b'], acknowledged: ['a'] })
    await inbox.forgetExpired()
    expect(await inbox.delivery(tenant, 'short')).toEqual({ delivered: [], acknowledged: [] })
  })

  test('the end of a task is found after all who watched it have gone', async () => {
    const database = await open()
    const sessionId = newSessionId(0)
    const event = (seq: number, type: string, taskId: string, more: object = {}) =>
      database.sql
        .insertInto('events')
        .values({
          session_id: sessionId,
          epoch: 1,
          seq,
          type,
          at: new Date(),
          body: JSON.stringify({ type, taskId, ...more }),
        })
        .execute()
    await event(1, 'task_executing', 'a')
    await event(2, 'task_completed', 'a', { result: { success: true, output: 'half \ud800 and \0' } })
    await event(3, 'task_executing', 'b')
    const ends = new TaskEnds(database)

    expect(await ends.find(sessionId, 'a')).toMatchObject({ type: 'task_completed', taskId: 'a' })
    expect(await ends.find(sessionId, 'b')).toBeUndefined()
    expect(await ends.find(newSessionId(0), 'a')).toBeUndefined()
  })

  test('D-17: of several changes of one version of a key exactly one holds', async () => {
    const database = await open()
    await openConnections(database)
    const context = new FederationContext(database)
    const tenant = tenantName()
    const change = (by: string) => context.change(tenant, 'g', { key: 'k', value: by, expected: 0, by })

    const outcomes = await Promise.all(['a', 'b', 'c', 'd'].map(change))

    expect(outcomes.filter(({ status }) => status === 'ok')).toHaveLength(1)
    expect(outcomes.filter(({ status }) => status === 'conflict')).toHaveLength(3)
    expect(await context.find(tenant, 'g', 'k')).toMatchObject({ version: 1 })
  })
})
