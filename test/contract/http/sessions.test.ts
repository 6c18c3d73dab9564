/**
 * Sessions and tasks over HTTP (rows H-04 and H-05): spawned, looked at, given work, stopped; page by page, and found.
 */
import { beforeAll, expect, test, vi } from 'vitest'
import { RawClient } from '../../support/settings-fixture.js'
import { allPages, type House, openHouse, type Requester } from './http-fixture.js'

const PATIENCE = { timeout: 15_000, interval: 20 } as const
let house: House
let alice: Requester
beforeAll(async () => {
  house = await openHouse()
  alice = await house.as('alice', 'acme', 'admin')
})

const statusOf = async (id: string): Promise<string> => (await alice.get(`/api/sessions/${id}`)).body.status

test('H-04: a session is spawned, looked at, and stopped', async () => {
  const spawned = await alice.post('/api/sessions', { orchestratorId: 'planner', task: 'hello', sessionType: 'echo' })

  expect(spawned.status).toBe(201)
  expect(spawned.body).toMatchObject({ orchestratorId: 'planner', type: 'echo' })
  expect(spawned.headers.get('location')).toBe(`/api/sessions/${spawned.body.id}`)
  await vi.waitFor(async () => expect(await statusOf(spawned.body.id)).toBe('active'), PATIENCE)
  const stopped = await alice.ask('DELETE', `/api/sessions/${spawned.body.id}`)
  expect(stopped).toMatchObject({ status: 202, body: { sessionId: spawned.body.id, duplicate: false } })
  await vi.waitFor(async () => expect(await statusOf(spawned.body.id)).toBe('terminated'), PATIENCE)
})

test('the paths of the web app mean the same as those below /api (H-05)', async () => {
  const spawned = await alice.post('/sessions', { orchestratorId: 'web', task: 'hello', sessionType: 'echo' })
  const { id } = spawned.body

  const task = await alice.post(`/sessions/${id}/tasks`, { sessionId: id, task: 'more', streamOutput: true })
  const looked = await alice.get(`/sessions/${id}`)
  const status = await alice.get('/status')
  const removed = await alice.ask('DELETE', `/sessions/${id}`)

  expect([spawned.status, task.status, looked.status, status.status, removed.status]).toEqual([201, 202, 200, 200, 202])
  expect(looked.body).toMatchObject({ id, orchestratorId: 'web' })
  expect(status.body).toMatchObject({ version: expect.any(String), subsystems: expect.any(Object) })
})

test('a task is given a name that tells what came of it', async () => {
  const id = await alice.spawn()

  const { body } = await alice.post(`/api/sessions/${id}/tasks`, { task: '{"count":2}' })

  const turns = async () => (await alice.get(`/api/sessions/${id}/turns`)).body.turns
  await vi.waitFor(
    async () =>
      expect(await turns()).toMatchObject([{ taskId: body.taskId, turn: 2, status: 'completed' }, { turn: 1 }]),
    PATIENCE,
  )
})

test('a session is paused, resumed and completed', async () => {
  const id = await alice.spawn()
  for (const [verb, status] of [
    ['pause', 'paused'],
    ['resume', 'active'],
    ['complete', 'completed'],
  ] as const) {
    expect(await alice.post(`/api/sessions/${id}/${verb}`), verb).toMatchObject({ status: 202 })
    await vi.waitFor(async () => expect(await statusOf(id)).toBe(status), PATIENCE)
  }
  expect(await alice.post(`/api/sessions/${id}/tasks`, { task: 'late' })).toMatchObject({
    ...{ status: 409, body: { code: 'session_not_running', sessionId: id } },
  })
})

test('a task that runs is cancelled, with its name or without', async () => {
  const id = await alice.spawn({ task: '{"count":100000,"delayMs":20}' })
  await vi.waitFor(
    async () =>
      expect((await alice.get(`/api/sessions/${id}/tasks`)).body.tasks).toMatchObject([{ state: 'in_progress' }]),
    PATIENCE,
  )

  expect(await alice.post(`/api/sessions/${id}/cancel`, {})).toMatchObject({ status: 202 })

  await vi.waitFor(
    async () =>
      expect((await alice.get(`/api/sessions/${id}/turns`)).body.turns).toMatchObject([{ status: 'cancelled' }]),
    PATIENCE,
  )
})

test('a task that waits is listed, and cancelled by its own name', async () => {
  const id = await alice.spawn()
  const scheduled = await alice.post(`/api/sessions/${id}/tasks`, {
    task: { description: 'later', delayMs: 3_600_000 },
  })
  const { scheduleId } = scheduled.body

  expect(scheduled).toMatchObject({ status: 202, body: { sessionId: id, state: 'waiting' } })
  // The task of the spawn has its place there too, until it has ended.
  await vi.waitFor(
    async () => expect((await alice.get(`/api/sessions/${id}/tasks`)).body.tasks).toMatchObject([{ scheduleId }]),
    PATIENCE,
  )
  expect((await alice.get('/api/tasks')).body.tasks).toEqual(
    expect.arrayContaining([expect.objectContaining({ scheduleId })]),
  )
  expect(await alice.ask('DELETE', `/api/tasks/${scheduleId}`)).toMatchObject({
    status: 200,
    body: { state: 'cancelled' },
  })
  expect(await alice.ask('DELETE', '/api/tasks/schedule_none')).toMatchObject({ body: { code: 'schedule_not_found' } })
})

test('a spawn whose task is to wait is answered with when it will be', async () => {
  const { status, body } = await alice.post('/api/sessions', { task: { description: 'later', delayMs: 3_600_000 } })

  expect(status).toBe(202)
  expect(body).toMatchObject({ state: 'waiting', sessionId: null, nextRunAt: expect.any(String) })
})

test('a list goes through all sessions once, newest first, whatever the size of its pages', async () => {
  const bob = await house.as('bob', 'pages', 'admin')
  const ids: string[] = []
  for (let n = 0; n < 5; n++) ids.unshift(await bob.spawn())

  const listed = await allPages<{ id: string }>(bob, '/api/sessions?limit=2', 'sessions')

  expect(listed.map(({ id }) => id)).toEqual(ids)
})

test('a list goes on at its cursor over a WebSocket too', async () => {
  const dora = await house.as('dora', 'socket', 'admin')
  for (let n = 0; n < 3; n++) await dora.spawn()
  const client = await RawClient.connect(house.url.replace('http:', 'ws:'), { ...dora.headers })
  const first = await client.ask({ type: 'list_sessions', payload: { limit: 2 } }, 'sessions_list')
  client.frames.length = 0

  const rest = await client.ask({ type: 'list_sessions', payload: { limit: 2, cursor: first.cursor } }, 'sessions_list')

  client.close()
  expect(rest.sessions).toHaveLength(1)
  expect(rest.cursor).toBeUndefined()
})

test('sessions are found by status, type, orchestrator, and a part of their task', async () => {
  const carol = await house.as('carol', 'search', 'admin')
  const one = await carol.spawn({ orchestratorId: 'planner', task: 'Write the "Invoice" of ümlaut\n' })
  const two = await carol.spawn({ orchestratorId: 'coder', task: { description: 'Review', metadata: { x: '\u0000' } } })
  await carol.post(`/api/sessions/${two}/stop`)
  await vi.waitFor(
    async () => expect((await carol.get(`/api/sessions/${two}`)).body.status).toBe('terminated'),
    PATIENCE,
  )
  const found = async (query: string): Promise<string[]> =>
    (await allPages<{ id: string }>(carol, `/api/sessions?${query}`, 'sessions')).map(({ id }) => id)

  await vi.waitFor(async () => expect(await found('status=terminated,failed')).toEqual([two]), PATIENCE)
  expect(await found('type=echo')).toEqual([two, one])
  expect(await found('type=llm')).toEqual([])
  expect(await found('orchestratorId=planner')).toEqual([one])
  expect(await found(`q=${encodeURIComponent('"invoice" of Ümlaut')}`)).toEqual([one])
  expect(await found('q=REVIEW')).toEqual([two])
  expect(await found(`q=${one.slice(-10).toLowerCase()}`)).toEqual([one])
  expect(await found('q=plan')).toEqual([one])
  expect(await found('q=description')).toEqual([])
})
