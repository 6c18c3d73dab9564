/**
 * What the reference's bridge asks (row H-06): health, status, agents, metrics; and what is not here is said to be not here.
 */
import { beforeAll, expect, test, vi } from 'vitest'
import { allPages, type House, openHouse, type Requester } from './http-fixture.js'

const PATIENCE = { timeout: 15_000, interval: 20 } as const
let house: House
let bridge: Requester
beforeAll(async () => {
  // Without a key the daemon is degraded; nothing here asks a model.
  house = await openHouse({ OPENAI_API_KEY: 'sk-nothing' })
  bridge = await house.as('bridge', 'neolith', 'admin')
})

test('H-06: health and status are told with the words of the bridge', async () => {
  expect((await bridge.get('/api/health')).body).toEqual({
    ...{ status: 'healthy', uptime: expect.any(Number), version: expect.any(String) },
    ...{ lastHeartbeat: expect.any(String), components: expect.objectContaining({ database: expect.any(Object) }) },
  })
  expect((await bridge.get('/api/status')).body).toMatchObject({
    ...{ running: true, activeAgents: expect.any(Number), totalChannels: 0, messagesProcessed: expect.any(Number) },
    ...{ startedAt: expect.any(String), subsystems: expect.any(Object) },
  })
})

test('H-06: sessions are agents: listed, looked at, measured', async () => {
  const id = await bridge.spawn({ orchestratorId: 'planner' })
  await vi.waitFor(
    async () => expect((await bridge.get(`/api/agents/${id}/metrics`)).body.tasksCompleted).toBe(1),
    PATIENCE,
  )

  const agents = await allPages<{ id: string }>(bridge, '/api/agents?limit=1', 'agents')

  expect(agents.map((agent) => agent.id)).toContain(id)
  expect((await bridge.get(`/api/agents/${id}`)).body).toMatchObject({ id, orchestratorId: 'planner', type: 'echo' })
  expect((await bridge.get(`/api/agents/${id}/metrics`)).body).toMatchObject({ agentId: id, errorsEncountered: 0 })
  expect(await bridge.get('/api/agents/none')).toMatchObject({ status: 404, body: { code: 'session_not_found' } })
})

test('H-06: an agent is restarted once, however often it is asked for under one key', async () => {
  const id = await bridge.spawn({ task: '{"count":3}' })

  const replies = [1, 2].map(() => bridge.post(`/api/agents/${id}/restart`, undefined, { 'idempotency-key': 'again' }))
  const [first, second] = await Promise.all(replies)

  expect(first).toMatchObject({ status: 201, body: { type: 'echo' } })
  expect(first?.body.id).not.toBe(id)
  expect(second?.body.id).toBe(first?.body.id)
  await vi.waitFor(async () => expect((await bridge.get(`/api/agents/${id}`)).body.status).toBe('terminated'), PATIENCE)
  const restarted = await bridge.get(`/api/sessions/${first?.body.id}`)
  expect(restarted.body.task.description).toBe('{"count":3}')
})

test('rates of the last minute are told', async () => {
  await bridge.spawn()

  const { body } = await bridge.get('/api/metrics')

  expect(body).toEqual({
    ...{ cpu: expect.any(Number), memory: expect.any(Number), messagesPerMinute: expect.any(Number) },
    ...{ averageLatencyMs: expect.any(Number), errorRate: 0, activeConnections: 0 },
  })
  expect(body.averageLatencyMs).toBeGreaterThan(0)
  expect(body.messagesPerMinute).toBeGreaterThan(0)
})

test('H-06: without Neolith there are no channels and no traffic, and that is what is said', async () => {
  const replies = [
    await bridge.get('/api/traffic/config'),
    await bridge.ask('PUT', '/api/traffic/config', { strategy: 'any' }),
    await bridge.get('/api/channels'),
    await bridge.get('/api/channels/slack/health'),
  ]

  for (const { status, body } of replies) {
    expect({ status, ...body }).toMatchObject({ status: 503, code: 'unavailable' })
    expect(body.detail).toContain('not connected to Neolith')
  }
})
