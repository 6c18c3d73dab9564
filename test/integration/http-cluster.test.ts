/**
 * HTTP at the edges of a real cluster (row H-04): what one edge has begun another one shows, streams go on at either, and
 * every edge tells the same of budgets and of the cluster.
 */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { Requester } from '../contract/http/http-fixture.js'
import { SECRET, token } from '../contract/wire/edge-fixture.js'
import { createServerDatabase } from '../support/databases.js'
import { EventSourceReader, type ServerSentEvent } from '../support/event-source.js'
import { seededRandom } from '../support/random.js'
import { PATIENCE, type RunningDaemon, settingsFolder, startWith } from '../support/settings-fixture.js'

const folder = settingsFolder()
const nodes: RunningDaemon[] = []
let database: Awaited<ReturnType<typeof createServerDatabase>>
let edges: readonly Requester[]

async function start(role: string, name: string, headers: Readonly<Record<string, string>>): Promise<Requester> {
  const node = await startWith(folder.path, {
    ...{ REDIS_URL: process.env.TEST_REDIS_URL ?? '', DATABASE_URL: database.url, CLUSTER_NAME: cluster },
    ...{ DAEMON_ROLE: role, DAEMON_NAME: name, DAEMON_JWT_SECRET: SECRET, SHARD_COUNT: '16', METRICS_ENABLED: 'false' },
    ...{ DAEMON_RATE_LIMIT_ENABLED: 'false', LOG_LEVEL: 'error', TOKEN_BUDGET_DAILY: '1000' },
  })
  nodes.push(node)
  return new Requester(`http://127.0.0.1:${node.daemon.port}`, headers)
}
const cluster = `http-${randomBytes(4).toString('hex')}`

beforeAll(async () => {
  database = await createServerDatabase()
  const headers = { authorization: `Bearer ${await token({ claims: { tenant: 'acme', role: 'admin' } })}` }
  await start('coordinator', 'coordinator-1', headers)
  await start('worker', 'worker-1', headers)
  edges = [await start('edge', 'edge-1', headers), await start('edge', 'edge-2', headers)]
  const owned = async () => (await one().get('/api/cluster/shards')).body.shards
  await vi.waitFor(async () => {
    for (const { owner } of await owned()) expect(owner).toMatch(/^worker-1@/)
  }, PATIENCE)
})

afterAll(async () => {
  for (const node of nodes.reverse()) await node.stop()
  await database.remove()
  folder.remove()
})

const one = (): Requester => edges[0] as Requester
const two = (): Requester => edges[1] as Requester

test('a session that one edge has spawned is shown and given work by the other', async () => {
  const id = await one().spawn()

  expect((await two().get(`/api/sessions/${id}`)).body.id).toBe(id)
  const key = { 'idempotency-key': 'work-1' }
  const replies = [
    await two().post(`/api/sessions/${id}/tasks`, { task: '{"count":2}' }, key),
    await one().post(`/api/sessions/${id}/tasks`, { task: '{"count":2}' }, key),
  ]
  expect(replies.map(({ body }) => body.duplicate)).toEqual([false, true])
  await vi.waitFor(async () => {
    expect((await one().get(`/api/sessions/${id}/turns`)).body.turns).toMatchObject([
      { turn: 2, status: 'completed' },
      { turn: 1, status: 'completed' },
    ])
  }, PATIENCE)
})

test('a stream that is cut again and again, at either edge, misses nothing and says nothing twice', async () => {
  const random = seededRandom('streams at two edges')
  const id = await one().spawn({ task: '{"count":400,"bytes":12,"delayMs":5}' })
  const seen: ServerSentEvent[] = []
  let lastEventId = '0-0'

  while (!seen.some(({ event }) => event === 'task_completed')) {
    const { url, headers } = random.pick(edges)
    const reader = await EventSourceReader.open(`${url}/api/sessions/${id}/stream`, {
      ...headers,
      'last-event-id': lastEventId,
    })
    await vi.waitFor(() => expect(reader.events.length).toBeGreaterThan(0), PATIENCE)
    await new Promise((resolve) => setTimeout(resolve, random.integer(5, 150)))
    reader.close()
    seen.push(...reader.events)
    lastEventId = reader.lastEventId
  }

  const ids = seen.flatMap(({ data }) => (data.eventId && data.timestamp ? [String(data.eventId)] : []))
  expect(ids.map((each) => Number(each.split('-')[1]))).toEqual(ids.map((_each, index) => index + 1))
  const said = seen.filter(({ event }) => event === 'stream_chunk').map(({ data }) => data.data.chunk)
  expect(said.join('')).toBe(seen.find(({ event }) => event === 'stream_end')?.data.text)
  await vi.waitFor(async () => {
    const { events } = (await two().get(`/api/sessions/${id}/events?limit=500`)).body
    expect(events.map((it: { eventId: string }) => it.eventId)).toEqual(expect.arrayContaining(ids))
  }, PATIENCE)
})

test('every edge tells the same of the cluster, and of what is used', async () => {
  const [here, there] = await Promise.all(edges.map((edge) => edge.get('/api/cluster')))
  const ids = (body: { nodes: { name: string; shards: number }[] }) =>
    body.nodes.map(({ name, shards }) => `${name} ${shards}`).sort()

  await vi.waitFor(async () => {
    const { body } = await one().get('/api/cluster')
    expect(ids(body)).toEqual(['coordinator-1 0', 'edge-1 0', 'edge-2 0', 'worker-1 16'])
  }, PATIENCE)
  expect(here?.body.leader).toMatch(/^coordinator-1@/)
  expect(there?.body.leader).toBe(here?.body.leader)
  const uses = await Promise.all(edges.map(async (edge) => (await edge.get('/api/budgets')).body.budgets))
  expect(uses[0]).toEqual(uses[1])
  expect(uses[0]).toEqual(expect.arrayContaining([expect.objectContaining({ period: 'daily', limit: 1_000 })]))
})
