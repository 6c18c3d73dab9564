/**
 * Row V2 through a whole daemon: what the second protocol reads and changes stands in the real stores.
 */
import { beforeAll, expect, test, vi } from 'vitest'
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
  expect(await admin.refusal('config.set', { values: { DAEMON_MAX_SESSIONS: 5 } })).toMatchObject({
    ...{ code: 'UNAVAILABLE', message: expect.stringContaining('start the node anew') },
  })
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
