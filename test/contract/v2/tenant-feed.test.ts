/**
 * Row V2: whoever sees a whole tenant and subscribes without naming a session hears of all of them: those that come, those
 * that are at work, and those that begin again, each from its place and once.
 */
import { expect, onTestFinished, test, vi } from 'vitest'
import { MAX_FOLLOWED, QUIET_MS } from '../../../src/edge/v2/tenant-feed.js'
import { AUTH, type Fixture, startEdge, token } from '../wire/edge-fixture.js'
import { connectParams, connectV2, type Frame, type V2Client } from './v2-fixture.js'

const LONG_AGO = new Date(0)

/** An edge whose database says of some sessions that something happens in them. */
async function tenant() {
  const atWork = new Map<string, Date>()
  const recent = vi.fn(async (asked: string, _withinMs: number, limit: number) => ({
    at: new Date(),
    sessions: [...fixture.rows.rows.values()]
      .filter((row) => row.tenant === asked && atWork.has(row.id))
      .map(({ id, owner }) => ({ id, owner, createdAt: atWork.get(id) ?? LONG_AGO }))
      .slice(0, limit),
  }))
  const lastBefore = vi.fn(
    async (_id: string, _at: Date): Promise<undefined | { epoch: number; seq: number }> => undefined,
  )
  const fixture: Fixture = await startEdge({ auth: AUTH, v2: { activity: { recent, lastBefore } } })
  const as = async (sub: string, role: string, of = 'acme'): Promise<V2Client> =>
    connectV2(`${fixture.url}/v2`, connectParams(await token({ sub, claims: { tenant: of, role } })))
  const spawn = async (client: V2Client): Promise<string> => {
    const params = { sessionType: 'echo', task: { description: 'first' } }
    const { id } = await client.ask('session.create', params)
    await client.event('session.created', ({ sessionId }) => sessionId === id)
    return id
  }
  return { ...fixture, atWork, lastBefore, recent, as, spawn }
}

const about = (client: V2Client, sessionId: string): Frame[] =>
  client.events().filter(({ payload }) => payload.sessionId === sessionId)
const looks = async ({ recent }: { recent: { mock: { calls: unknown[] } } }, more: number): Promise<void> => {
  const before = recent.mock.calls.length
  await vi.waitFor(() => expect(recent.mock.calls.length).toBeGreaterThanOrEqual(before + more), { timeout: 15_000 })
}

test('a session that comes is told whole to its tenant’s administrators and readers, and to nobody else', async () => {
  const house = await tenant()
  const { as, spawn, atWork } = house
  const names = ['root', 'reader', 'bob', 'stranger'] as const
  const roles = ['admin', 'readonly', 'user', 'admin'] as const
  const clients = await Promise.all(names.map((name, n) => as(name, roles[n] ?? '', n === 3 ? 'other' : 'acme')))
  const scopes = await Promise.all(clients.map((client) => client.ask('subscribe', { events: ['*'] })))
  await looks(house, 2)

  const alice = await as('alice', 'user')
  const sessionId = await spawn(alice)
  await alice.ask('prompt.submit', { sessionId, prompt: 'stream a b' })
  atWork.set(sessionId, new Date())
  const [root, reader, bob, stranger] = clients as [V2Client, V2Client, V2Client, V2Client]
  await root.event('stream.end')
  await reader.event('stream.end')

  expect(scopes.map(({ scope }) => scope)).toEqual(['tenant', 'tenant', 'connection', 'tenant'])
  expect(about(root, sessionId).map(({ event }) => event)).toEqual(
    expect.arrayContaining(['session.created', 'session.status', 'stream.end']),
  )
  expect(about(root, sessionId)[0]).toMatchObject({
    event: 'session.created',
    subscriptionId: scopes[0]?.subscriptionId,
  })
  expect([about(bob, sessionId), about(stranger, sessionId)]).toEqual([[], []])
})

test('a session that slept is told from where it was when it was seen at work, and not what came before', async () => {
  const house = await tenant()
  const { as, spawn, atWork, lastBefore, bus } = house
  const alice = await as('alice', 'user')
  const sessionId = await spawn(alice)
  const head = (await bus.log.peek(sessionId))?.head ?? ''
  const [epoch = 0, seq = 0] = head.split('-').map(Number)
  lastBefore.mockResolvedValue({ epoch, seq })
  const root = await as('root', 'admin')
  await root.ask('subscribe', { events: ['stream.*'] })
  await looks(house, 2)

  const { promptId } = await alice.ask('prompt.submit', { sessionId, prompt: 'stream a b' })
  await alice.event('stream.end', (payload) => payload.promptId === promptId)
  atWork.set(sessionId, LONG_AGO)
  await root.event('stream.end', (payload) => payload.promptId === promptId)

  expect(new Set(about(root, sessionId).map(({ payload }) => payload.promptId))).toEqual(new Set([promptId]))
  expect(root.text(promptId)).toBe('a b')
  const [[, at] = []] = lastBefore.mock.calls
  expect(Date.now() - Number(at)).toBeGreaterThan(20_000)
})

test('a session that has been quiet is let go of, and gone on with where it was left', async () => {
  const house = await tenant()
  const { as, spawn, atWork, edge } = house
  const alice = await as('alice', 'user')
  const sessionId = await spawn(alice)
  await alice.close()
  await vi.waitFor(() => expect(edge.watchersOf(sessionId)).toBe(0))
  const root = await as('root', 'admin')
  atWork.set(sessionId, LONG_AGO)
  await root.ask('subscribe', { events: ['*'] })
  await vi.waitFor(() => expect(edge.watchersOf(sessionId)).toBe(1), { timeout: 10_000 })

  const now = vi.spyOn(performance, 'now')
  onTestFinished(() => now.mockRestore())
  const real = performance.timeOrigin
  now.mockImplementation(() => Date.now() - real + QUIET_MS + 1)
  atWork.delete(sessionId)
  await vi.waitFor(() => expect(edge.watchersOf(sessionId)).toBe(0), { timeout: 10_000 })
  const again = await as('alice', 'user')
  for (const prompt of ['one', 'two']) await again.ask('prompt.submit', { sessionId, prompt })
  await again.event('stream.end', ({ metadata }) => metadata.output === 'two')
  atWork.set(sessionId, LONG_AGO)
  await root.event('stream.end', ({ metadata }) => metadata.output === 'two')

  const ends = about(root, sessionId).filter(({ event }) => event === 'stream.end')
  expect(ends.map(({ payload }) => payload.metadata.output)).toEqual(['one', 'two'])
})

test('a session that is over is told to its end, let go of at once, and not followed again', async () => {
  const house = await tenant()
  const { as, spawn, atWork, edge } = house
  const root = await as('root', 'admin')
  await root.ask('subscribe', { events: ['session.*'] })
  await looks(house, 1)
  const alice = await as('alice', 'user')
  const sessionId = await spawn(alice)
  atWork.set(sessionId, new Date())
  await root.event('session.created')

  await alice.ask('session.stop', { sessionId })
  await root.event('session.stopped')
  await alice.close()

  await vi.waitFor(() => expect(edge.watchersOf(sessionId)).toBe(0), { timeout: 10_000 })
  await looks(house, 2)
  expect(edge.watchersOf(sessionId)).toBe(0)
  expect(root.names().filter((name) => name === 'session.created')).toHaveLength(1)
})

test('when nobody subscribes any more nothing is followed, but for what the client named itself', async () => {
  const house = await tenant()
  const { as, spawn, atWork, edge, recent } = house
  const alice = await as('alice', 'user')
  const [named, other] = [await spawn(alice), await spawn(alice)]
  await alice.close()
  const root = await as('root', 'admin')
  for (const id of [named, other]) atWork.set(id, LONG_AGO)
  const { subscriptionId } = await root.ask('subscribe', { events: ['*'] })
  await vi.waitFor(() => expect([named, other].map((id) => edge.watchersOf(id))).toEqual([1, 1]), { timeout: 10_000 })
  await root.ask('subscribe', { events: ['*'], filter: { sessionId: named } })

  await root.ask('unsubscribe', { subscriptionId })

  await vi.waitFor(() => expect([named, other].map((id) => edge.watchersOf(id))).toEqual([1, 0]))
  const calls = recent.mock.calls.length
  await new Promise((resolve) => setTimeout(resolve, 2_500))
  expect(recent.mock.calls.length, 'and nobody looks').toBeLessThanOrEqual(calls + 1)
})

test('more than a connection may follow are told to be too many, once, and the connection stays', async () => {
  const { as, atWork, rows, recent } = await tenant()
  const root = await as('root', 'admin')
  const row = { shard: 0, tenant: 'acme', owner: 'alice', orchestratorId: 'o', type: 'echo', spawn: '{"task":null}' }
  for (let n = 0; n <= MAX_FOLLOWED; n++) {
    const id = `session_000_${String(n).padStart(26, '0')}`
    await rows.reserve({ ...row, id, bodyHash: '', idemKey: undefined } as never)
    atWork.set(id, LONG_AGO)
  }
  await root.ask('subscribe', { events: ['nothing'] })

  const error = await root.event('error', ({ details }) => details.code === 'unavailable')
  await looks({ recent }, 2)

  expect(error.message).toContain(`more than ${MAX_FOLLOWED} sessions`)
  const told = root.frames.filter(({ event, payload }) => event === 'error' && /more than/.test(payload.message))
  expect(told).toHaveLength(1)
  expect(await root.ask('health.ping')).toMatchObject({ serverTimestamp: expect.any(Number) })
})
