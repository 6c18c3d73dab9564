/**
 * Row V2 through a whole daemon: what the second protocol reads and changes stands in the real stores.
 */
import { beforeAll, expect, test, vi } from 'vitest'
import { AuditLog, SERVICE_CHAIN } from '../../../src/storage/audit-log.js'
import { type House, openHouse } from '../http/http-fixture.js'
import { SECRET, token } from '../wire/edge-fixture.js'
import { connectParams, connectV2, type V2Client } from './v2-fixture.js'

const PATIENCE = { timeout: 10_000, interval: 20 } as const

let house: House
beforeAll(async () => {
  house = await openHouse({ OPENAI_API_KEY: 'sk-nothing' })
})

async function as(sub: string, tenant: string, role = 'user'): Promise<V2Client> {
  const url = `${house.url.replace('http', 'ws')}/v2`
  return connectV2(url, connectParams(await token({ sub, claims: { tenant, role } })))
}

test('what is remembered is found by whoever remembered it, and by nobody else', async () => {
  const [alice, bob] = [await as('alice', 'acme'), await as('bob', 'acme')]

  const { memoryId } = await alice.ask('memory.store', { content: 'the zebra is striped', tier: 'semantic' })
  const found = await alice.ask('memory.query', { query: 'zebra' })
  const others = await bob.ask('memory.query', { query: 'zebra' })

  expect(found.memories).toMatchObject([{ memoryId, content: 'the zebra is striped', tier: 'semantic' }])
  expect(others.memories).toEqual([])
  expect(await bob.refusal('memory.delete', { memoryId })).toMatchObject({ code: 'NOT_FOUND' })
  expect(await alice.ask('memory.delete', { memoryId })).toMatchObject({ deleted: true })
  expect(await alice.ask('memory.query', { query: 'zebra' })).toMatchObject({ memories: [] })
})

test('settings are told without their secrets', async () => {
  const admin = await as('root', 'acme', 'admin')

  const { values } = await admin.ask('config.get')

  expect(values).toMatchObject({ DAEMON_JWT_SECRET: 'set (hidden)', DAEMON_AUTH_MAX_CONNECTIONS: '1000' })
  expect(JSON.stringify(values)).not.toContain(SECRET)
  expect(JSON.stringify(values)).not.toContain('sk-nothing')
})

test('an administrator sets what is live, all of it or nothing, and it stands in both audit logs', async () => {
  const admin = await as('root', 'acme', 'admin')
  const set = (values: object) => admin.ask('config.set', { values })

  const set1 = await set({ DAEMON_MAX_SESSIONS: 5, LOG_LEVEL: 'error', DAEMON_PORT: 9090 })
  const wrong = { DAEMON_MAX_SESSIONS: 7, TOKEN_BUDGET_DAILY: 10_000_000, DAEMON_AUTH_MAX_CONNECTIONS: 'many' }
  const refused = await admin.refusal('config.set', { values: wrong })
  const unfitting = await admin.refusal('config.set', { values: { ...wrong, DAEMON_AUTH_MAX_CONNECTIONS: 900 } })
  const secret = await admin.refusal('config.set', { values: { DAEMON_JWT_SECRET: 's'.repeat(40) } })
  const keys = ['DAEMON_MAX_SESSIONS', 'LOG_LEVEL', 'DAEMON_PORT', 'TOKEN_BUDGET_DAILY']
  const { values } = await admin.ask('config.get', { keys })
  await set({ DAEMON_MAX_SESSIONS: null, LOG_LEVEL: null })

  const max = { setting: 'DAEMON_MAX_SESSIONS', from: '100', to: '5' }
  const level = { setting: 'LOG_LEVEL', from: 'warn', to: 'error' }
  expect(set1).toEqual({
    ...{ applied: ['DAEMON_MAX_SESSIONS', 'LOG_LEVEL'], needRestart: ['DAEMON_PORT'], changes: [max, level] },
  })
  expect(refused).toMatchObject({ code: 'INVALID_REQUEST', message: expect.stringContaining('from 1 to 100000') })
  expect(unfitting.message).toContain('TOKEN_BUDGET_WEEKLY must be at least TOKEN_BUDGET_DAILY')
  expect(secret.message).toContain('DAEMON_JWT_SECRET is set where the node runs')
  expect(values).toEqual({
    ...{ DAEMON_MAX_SESSIONS: '5', LOG_LEVEL: 'error', DAEMON_PORT: '0', TOKEN_BUDGET_DAILY: '1000000' },
  })
  const rows = async (tenant: string, action: string) => new AuditLog(house.database).list({ tenant, action, limit: 9 })
  await vi.waitFor(async () => {
    expect(await rows('acme', 'config.set')).toMatchObject([{ actor: 'root' }, { detail: { changes: [max, level] } }])
    const node = { actor: 'acme/root', detail: { by: 'config.set' } }
    expect(await rows(SERVICE_CHAIN, 'settings.changed')).toMatchObject([
      {
        ...node,
        detail: {
          changes: [
            { from: '5', to: '100' },
            { from: 'error', to: 'warn' },
          ],
        },
      },
      node,
    ])
  }, PATIENCE)
})

test('a setting that a reload has changed stands in the audit log of the service, with its cause', async () => {
  await house.daemon.reload({ LOG_LEVEL: 'debug' })
  await house.daemon.reload({})

  const log = new AuditLog(house.database)
  await vi.waitFor(async () => {
    const [last, first] = await log.list({ tenant: SERVICE_CHAIN, action: 'settings.changed', limit: 2 })
    expect(first).toMatchObject({ actor: 'operator', detail: { by: 'reload', files: [] } })
    expect(first?.detail.changes).toEqual([{ setting: 'LOG_LEVEL', from: 'warn', to: 'debug' }])
    expect(last?.detail.changes).toEqual([{ setting: 'LOG_LEVEL', from: 'debug', to: 'warn' }])
  }, PATIENCE)
})

test('a session runs from its spawn to its end, and is listed and counted', async () => {
  const client = await as('carol', 'acme')

  const { id } = await client.ask('session.create', { sessionType: 'echo', task: { description: '{"count":2}' } })
  const end = await client.event('stream.end')

  expect(end).toMatchObject({ sessionId: id, promptId: expect.any(String) })
  // The list is of the database, which hears of a session's state a moment after its watchers.
  await vi.waitFor(async () => {
    const list = await client.ask('session.list', { status: 'running' })
    expect(list).toMatchObject({ total: 1, sessions: [{ id, status: 'running' }] })
  }, PATIENCE)
  expect(await client.ask('session.list', { limit: 1, offset: 1 })).toMatchObject({ total: 1, sessions: [] })
  expect(await client.ask('session.stop', { sessionId: id })).toMatchObject({ stopped: true })
  expect(await client.event('session.stopped')).toMatchObject({ sessionId: id, status: 'terminated' })
})

test('an agent without the program that it needs fails, and says so', async () => {
  const client = await as('dave', 'acme')

  const { agentId } = await client.ask('team.create', {
    ...{ name: 'crew', agents: [{ agentType: 'coder', role: 'builder' }], task: { description: 'build' } },
  })
  const failed = await client.event('stream.error')

  expect(failed).toMatchObject({ error: { code: expect.any(String), details: { code: expect.any(String) } } })
  expect(agentId).toBeUndefined()
  expect(await client.ask('team.status', { teamId: failed.sessionId })).toMatchObject({ name: 'crew', agents: [] })
})

test('an administrator who subscribes hears of every session of the tenant, from its beginning to its end', async () => {
  const [root, erin, other] = [await as('root', 'feed', 'admin'), await as('erin', 'feed'), await as('x', 'elsewhere')]
  const { scope } = await root.ask('subscribe', { events: ['session.*', 'stream.*'] })
  await new Promise((resolve) => setTimeout(resolve, 500))
  const spawn = (client: V2Client) =>
    client.ask('session.create', { sessionType: 'echo', task: { description: '{"count":2,"bytes":4}' } })

  const [{ id }] = await Promise.all([spawn(erin), spawn(other)])
  await root.event('stream.end')
  await erin.ask('session.stop', { sessionId: id })
  await root.event('session.stopped')

  expect(scope).toBe('tenant')
  const told = root.events().filter(({ payload }) => payload.sessionId !== undefined)
  expect(new Set(told.map(({ payload }) => payload.sessionId))).toEqual(new Set([id]))
  const names = told.map(({ event }) => event)
  expect(names[0]).toBe('session.created')
  expect(names.at(-1)).toBe('session.stopped')
  expect(names.filter((name) => name === 'stream.start' || name === 'stream.end')).toEqual([
    'stream.start',
    'stream.end',
  ])
})
