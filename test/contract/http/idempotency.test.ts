/**
 * `Idempotency-Key` (row H-04): a request that is repeated, at any edge, takes effect once.
 */
import { expect, test } from 'vitest'
import { AUTH, startCluster, startEdge, token } from '../wire/edge-fixture.js'
import { Requester } from './http-fixture.js'

async function twoEdges() {
  const cluster = await startCluster()
  const edges = [await startEdge({ cluster, auth: AUTH }), await startEdge({ cluster, auth: AUTH })] as const
  const authorization = `Bearer ${await token({ claims: { tenant: 'acme', role: 'admin' } })}`
  const [one, two] = edges.map(({ url }) => new Requester(url.replace('ws:', 'http:'), { authorization }))
  if (!one || !two) throw new Error('there are two')
  return { cluster, one, two }
}

const KEY = { 'idempotency-key': 'key-1' }
const TASK = { task: 'wait', sessionType: 'echo' }

test('a spawn under one key is one session, at whichever edge it is repeated', async () => {
  const { cluster, one, two } = await twoEdges()

  const replies = await Promise.all([one, two, one, two].map((edge) => edge.post('/api/sessions', TASK, KEY)))

  expect(replies.map(({ status }) => status)).toEqual([201, 201, 201, 201])
  expect(new Set(replies.map(({ body }) => body.id)).size).toBe(1)
  expect(cluster.worker.accepted).toHaveLength(1)
  const again = await two.post('/api/sessions', TASK, { 'idempotency-key': '"key-1"' })
  expect(again.body.id).toBe(replies[0]?.body.id)
  expect(again.headers.get('idempotency-replayed')).toBe('true')
})

test('the same key with another body is a conflict', async () => {
  const { one, two } = await twoEdges()
  await one.post('/api/sessions', TASK, KEY)

  const other = await two.post('/api/sessions', { ...TASK, task: 'something else' }, KEY)

  expect(other).toMatchObject({ status: 409, body: { code: 'idempotency_conflict' } })
  expect(other.headers.get('content-type')).toBe('application/problem+json')
})

test('a task under one key runs once, under one name', async () => {
  const { cluster, one, two } = await twoEdges()
  const id = await one.spawn()

  const first = await one.post(`/api/sessions/${id}/tasks`, { task: 'work' }, KEY)
  const again = await two.post(`/api/sessions/${id}/tasks`, { task: 'work' }, KEY)

  expect([first.body.commandId, again.body.commandId]).toEqual(['key-1', 'key-1'])
  expect([first.body.duplicate, again.body.duplicate]).toEqual([false, true])
  expect(again.body.taskId).toBe(first.body.taskId)
  expect(cluster.worker.accepted.filter((commandId) => commandId === 'key-1')).toHaveLength(1)
})

test('without a key every request is a command of its own', async () => {
  const { cluster, one } = await twoEdges()
  const id = await one.spawn()

  const replies = [
    await one.post(`/api/sessions/${id}/tasks`, { task: 'work' }),
    await one.post(`/api/sessions/${id}/tasks`, { task: 'work' }),
  ]

  expect(new Set(replies.map(({ body }) => body.commandId)).size).toBe(2)
  expect(new Set(replies.map(({ body }) => body.taskId)).size).toBe(2)
  expect(cluster.worker.accepted).toHaveLength(3)
})

test.each(['x'.repeat(129), 'with space'])('the key %j is refused', async (key) => {
  const { one } = await twoEdges()
  const id = await one.spawn()

  const reply = await one.post(`/api/sessions/${id}/tasks`, { task: 'work' }, { 'idempotency-key': key })

  expect(reply).toMatchObject({ status: 422, body: { code: 'invalid_payload' } })
})
