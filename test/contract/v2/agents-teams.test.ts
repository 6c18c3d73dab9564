/**
 * Row V2: agents and teams are sessions of type claude-flow.
 */
import { expect, test, vi } from 'vitest'
import type { SwarmView } from '../../../src/protocol/v2/shapes.js'
import { startEdge } from '../wire/edge-fixture.js'
import { connectV2, type Frame } from './v2-fixture.js'

const UNKNOWN = 'session_000_01ARZ3NDEKTSV4RRFFQ69G5FAV'
const TEAM = {
  ...{ name: 'crew', description: 'builds things', coordinationStrategy: 'sequential' },
  agents: [
    { agentType: 'planner', role: 'lead' },
    { agentType: 'coder', role: 'builder', config: { model: 'claude-opus-4-6' } },
  ],
  task: { description: 'build it', priority: 'high' },
}

/** What the worker is given. */
const spawnIn = (rows: ReadonlyMap<string, { readonly spawn: string }>, id: string): Frame =>
  JSON.parse(rows.get(id)?.spawn ?? '{}')

test('agent.spawn spawns a session of type claude-flow that knows what it is', async () => {
  const { url, rows } = await startEdge()
  const client = await connectV2(url)
  const { id: parentSessionId } = await client.ask('session.create', {
    ...{ orchestratorId: 'planner', sessionType: 'echo', task: { description: 'wait' }, subscribe: false },
  })

  const agent = await client.ask('agent.spawn', {
    ...{ parentSessionId, agentType: 'researcher', task: { description: 'look', priority: 'low' } },
    config: { model: 'claude-opus-4-6', maxAgents: 2, depth: 'deep' },
  })

  expect(agent).toMatchObject({
    ...{ agentId: expect.stringMatching(/^session_/), agentType: 'researcher', parentSessionId, task: 'look' },
    metrics: { tokensUsed: 0, durationMs: 0, tasksCompleted: 0 },
  })
  expect(spawnIn(rows.rows, agent.agentId)).toMatchObject({
    ...{ sessionType: 'claude-flow', orchestratorId: 'planner' },
    options: { model: 'claude-opus-4-6', maxAgents: 2, topology: 'star' },
    task: { assignedTo: 'researcher', priority: 'low', metadata: { agent: { agentType: 'researcher' } } },
  })
  expect(await client.event('agent.spawned')).toMatchObject({
    ...{ agentId: agent.agentId, sessionId: agent.agentId, agentType: 'researcher', status: 'running' },
  })
})

test('agent.status tells how it stands, and agent.stop ends it', async () => {
  const { url } = await startEdge()
  const client = await connectV2(url)
  const { agentId } = await client.ask('agent.spawn', { agentType: 'coder', task: { description: 'code' } })
  await client.event('agent.spawned')
  await client.ask('prompt.submit', { sessionId: agentId, prompt: 'hi' })
  await client.event('stream.end')

  expect(await client.ask('agent.status', { agentId })).toMatchObject({ status: 'running', agentType: 'coder' })
  expect(await client.ask('agent.stop', { agentId, force: true })).toMatchObject({ agentId, stopped: true })

  expect(await client.event('agent.stopped')).toMatchObject({ agentId, status: 'stopped' })
  expect(await client.event('agent.status')).toMatchObject({ agentId })
  expect(await client.ask('agent.status', { agentId })).toMatchObject({ status: 'stopped' })
})

test('a session of another type is no agent and no team', async () => {
  const { url } = await startEdge()
  const client = await connectV2(url)
  const { id } = await client.ask('session.create', { sessionType: 'echo', task: { description: 'wait' } })
  await client.event('session.created')

  for (const [method, params] of [
    ['agent.status', { agentId: id }],
    ['agent.stop', { agentId: id }],
    ['team.status', { teamId: id }],
    ['team.message', { teamId: id, from: 'a', content: 'b' }],
    ['team.dissolve', { teamId: id }],
    ['agent.status', { agentId: UNKNOWN }],
    ['team.status', { teamId: UNKNOWN }],
  ] as const) {
    expect(await client.refusal(method, params), method).toMatchObject({ code: 'NOT_FOUND' })
  }
  expect(await client.ask('session.status', { sessionId: id })).toMatchObject({ status: 'running' })
})

test('a configuration that cannot be is refused', async () => {
  const { url } = await startEdge()
  const client = await connectV2(url)
  const task = { description: 'x' }

  const [agent, team] = [
    await client.refusal('agent.spawn', { agentType: 'a', config: { maxAgents: 99 }, task }),
    await client.refusal('team.create', { ...TEAM, agents: [{ agentType: 'a', role: 'b', config: { model: 7 } }] }),
  ]

  expect([agent.code, team.code]).toEqual(['INVALID_REQUEST', 'INVALID_REQUEST'])
})

test.each([
  ['sequential', 'ring'],
  ['parallel', 'mesh'],
  ['round-robin', 'star'],
  ['custom', 'hierarchical'],
])('a team that works %s is a swarm of topology %s', async (coordinationStrategy, topology) => {
  const { url, rows } = await startEdge()
  const client = await connectV2(url)

  const { teamId } = await client.ask('team.create', { ...TEAM, coordinationStrategy })

  expect(spawnIn(rows.rows, teamId)).toMatchObject({
    sessionType: 'claude-flow',
    options: { topology, maxAgents: 2, model: 'claude-opus-4-6' },
    task: {
      description: 'build it',
      priority: 'high',
      metadata: { team: { name: 'crew', strategy: coordinationStrategy } },
    },
  })
})

test('team.status tells what its agents have agreed on', async () => {
  const swarm: SwarmView = {
    agents: [
      { name: 'planner-1', role: 'planner', spawnedAt: '2026-01-01T00:00:00.000Z' },
      { name: 'coder-1', role: 'coder', spawnedAt: '2026-01-01T00:00:01.000Z' },
      { name: 'tester-1', role: 'tester', spawnedAt: '2026-01-01T00:00:02.000Z' },
    ],
    tasks: [
      { status: 'completed', assignedTo: 'planner-1' },
      { status: 'in_progress', assignedTo: 'coder-1' },
      { status: 'pending' },
      { status: 'pending' },
    ],
  }
  const { url } = await startEdge({ v2: { swarm: async () => swarm } })
  const client = await connectV2(url)
  const { teamId, name, agents, members } = await client.ask('team.create', TEAM)
  await client.event('team.status', ({ status }) => status === 'active')

  const status = await client.ask('team.status', { teamId })

  expect({ name, agents, members: members.length }).toEqual({ name: 'crew', agents: [], members: 2 })
  expect(status).toMatchObject({
    ...{ teamId, name: 'crew', status: 'active', progress: 0.25 },
    agents: [
      { agentId: `${teamId}/planner-1`, agentType: 'planner', status: 'completed', tasksCompleted: 1 },
      { agentId: `${teamId}/coder-1`, agentType: 'coder', status: 'running', tasksCompleted: 0 },
      { agentId: `${teamId}/tester-1`, agentType: 'tester', status: 'initializing' },
    ],
  })
  expect(await client.ask('agent.status', { agentId: `${teamId}/coder-1` })).toMatchObject({ status: 'running' })
  expect(await client.refusal('agent.status', { agentId: `${teamId}/nobody` })).toMatchObject({ code: 'NOT_FOUND' })
  expect(await client.refusal('agent.stop', { agentId: `${teamId}/coder-1` })).toMatchObject({
    code: 'INVALID_REQUEST',
  })
})

test('team.message becomes a task of the team, and everybody who watches hears it', async () => {
  const { url } = await startEdge()
  const client = await connectV2(url)
  const { teamId } = await client.ask('team.create', TEAM)
  await client.event('session.created')

  const message = {
    teamId,
    from: 'boss',
    to: 'coder-1',
    content: 'hurry up',
    metadata: { urgent: true },
    idempotencyKey: 'm',
  }
  const sent = await client.ask('team.message', message)
  const told = await client.event('team.message')
  await client.event('stream.end')
  const again = await client.ask('team.message', message)

  expect(sent).toMatchObject({ teamId, messageId: expect.any(String), promptId: expect.any(String), duplicate: false })
  expect(told).toMatchObject({ teamId, from: 'boss', to: 'coder-1', content: 'hurry up', metadata: { urgent: true } })
  expect(again).toMatchObject({ promptId: sent.promptId, duplicate: true })
  expect(await client.event('stream.end')).toMatchObject({
    metadata: { output: 'Message from boss to coder-1: hurry up' },
  })
})

test('team.dissolve ends the team', async () => {
  const { url } = await startEdge()
  const client = await connectV2(url)
  const { teamId } = await client.ask('team.create', TEAM)
  await client.event('session.created')

  expect(await client.ask('team.dissolve', { teamId, reason: 'done' })).toMatchObject({ teamId, dissolved: true })

  expect(await client.event('team.dissolved')).toMatchObject({ teamId, name: 'crew', status: 'dissolved' })
  expect(await client.ask('team.status', { teamId })).toMatchObject({ status: 'dissolved', agents: [] })
})

test('an agent that the coordinator spawns is told, and so is a team that is come upon later', async () => {
  const { url, worker } = await startEdge()
  const first = await connectV2(url)
  const { teamId } = await first.ask('team.create', { ...TEAM, subscribe: false })
  await vi.waitFor(async () => expect(await first.ask('team.status', { teamId })).toMatchObject({ status: 'active' }))
  const client = await connectV2(url)
  await client.ask('subscribe', { events: ['agent.*', 'team.*'], filter: { teamId } })
  const text = JSON.stringify({ name: 'coder-1', role: 'coder', spawnedAt: 'now' })
  const call = {
    sessionId: teamId,
    callId: 'c',
    toolName: 'mcp__swarm__agent_spawn',
    status: 'completed',
    timestamp: 'now',
  }

  await worker.append(teamId, [
    { type: 'tool_call_result', data: { ...call, result: { content: [{ type: 'text', text }] } } },
  ])
  const spawned = await client.event('agent.spawned')
  await client.ask('team.dissolve', { teamId })

  expect(spawned).toMatchObject({ agentId: `${teamId}/coder-1`, teamId, agentType: 'coder' })
  expect(await client.event('team.dissolved')).toMatchObject({ teamId, name: 'crew' })
})
