/**
 * The wire contract of raw clients: the reference's examples are accepted as they stand, and every answer carries at
 * least the fields that the reference shows, with the same types.
 */
import { expect, test } from 'vitest'
import WebSocket from 'ws'
import { type Frame, RawClient, startEdge } from './edge-fixture.js'

const TASK = {
  id: 'task-123',
  type: 'code',
  description: 'Implement authentication system',
  priority: 'high',
  status: 'pending',
  createdAt: '2025-12-01T12:00:00.000Z',
  updatedAt: '2025-12-01T12:00:00.000Z',
}

/** Asserts that `frame` has every field of the example, of the same type, and the same value where it is a constant. */
function expectSuperset(frame: unknown, example: unknown, path = 'frame'): void {
  if (typeof example !== 'object' || example === null) {
    expect(typeof frame, path).toBe(typeof example)
    return
  }
  expect(typeof frame, path).toBe('object')
  for (const [name, value] of Object.entries(example)) {
    expectSuperset((frame as Record<string, unknown>)[name], value, `${path}.${name}`)
  }
}

const EXAMPLES: Record<string, Frame> = {
  // W-30
  session_spawned: {
    type: 'session_spawned',
    sessionId: 'session_abc123',
    status: 'active',
    metadata: { createdAt: '2025-12-01T12:00:00.000Z' },
  },
  // W-31
  task_executing: { type: 'task_executing', sessionId: 'session_abc123', taskId: 'task-456' },
  // W-32
  task_completed: {
    type: 'task_completed',
    sessionId: 'session_abc123',
    taskId: 'task-456',
    result: { success: true, output: 'Tests passed: 42/42' },
  },
  // W-33
  task_failed: { type: 'task_failed', sessionId: 'session_abc123', taskId: 'task-456', error: 'Timeout exceeded' },
  // W-34
  stream_start: { type: 'stream_start', sessionId: 'session_abc123', metadata: { model: 'gpt-4o-mini' } },
  // W-35
  stream_chunk: {
    type: 'stream_chunk',
    data: { sessionId: 'session_abc123', chunk: 'Implementing authentication...', metadata: { tokens: 15 } },
  },
  // W-36
  stream_end: { type: 'stream_end', sessionId: 'session_abc123', metadata: { totalTokens: 523, duration: 4200 } },
  // W-13, W-39
  daemon_status_response: {
    type: 'daemon_status_response',
    status: {
      name: 'orchestrator-daemon',
      uptime: 3600000,
      activeSessions: 5,
      maxSessions: 100,
      memoryUsageMB: 256,
      cpuUsagePercent: 15.5,
      version: '1.0.6',
    },
  },
}

test('W-15, W-16, W-40, W-41: the greeting, the health check and the ping answer with the exact frames of the reference', async () => {
  const { url, client } = await startEdge()
  const raw = await client()

  raw.send({ type: 'health_check' })
  raw.send({ type: 'ping' })
  await raw.type('pong')

  expect(raw.frames).toEqual([{ type: 'health_check_response', healthy: true }, { type: 'pong' }])
  expect(url).toMatch(/^ws:\/\/127\.0\.0\.1:\d+$/)
})

test('W-01, W-02: at any path a raw WebSocket opens, and the first frame is that the daemon is well', async () => {
  const { url } = await startEdge()

  for (const path of ['', '/', '/ws', '/any/path?of=theirs']) {
    const raw = new RawClient(new WebSocket(`${url}${path}`))
    await raw.next(() => true)
    expect(await raw.ask({ type: 'ping' }), path).toMatchObject({ type: 'pong' })
    expect(raw.frames[0], path).toEqual({ type: 'health_check_response', healthy: true })
    await raw.close()
  }
})

test('W-10: a session is asked for with a task or with text, and with or without its owner and its type', async () => {
  const { client, rows } = await startEdge()
  const raw = await client()
  const spawn = async (payload: Frame) => {
    const { sessionId } = await raw.ask({ type: 'spawn_session', payload })
    return rows.rows.get(String(sessionId))
  }

  const given = await spawn({ orchestratorId: 'orchestrator-1', task: TASK, sessionType: 'echo' })
  const bare = await spawn({ task: 'Say hello' })

  expect(given).toMatchObject({ orchestratorId: 'orchestrator-1', type: 'echo' })
  expect(JSON.parse(given?.spawn ?? '')).toMatchObject({ task: { id: TASK.id, description: TASK.description } })
  expect(bare).toMatchObject({ orchestratorId: 'default', type: 'llm' })
  expect(JSON.parse(bare?.spawn ?? '')).toMatchObject({ task: { description: 'Say hello' } })
})

test('W-11: a further task reaches the worker as a task or as text, with its context where it has one', async () => {
  const { client, worker } = await startEdge()
  const raw = await client()
  const sessionId = await raw.spawn()
  const context = { files: ['src/a.ts'], depth: { of: 2 } }

  raw.send({ type: 'execute_task', payload: { sessionId, task: TASK, context } })
  raw.send({ type: 'execute_task', payload: { sessionId, task: 'Say hello', streamResponse: true } })
  await raw.next(({ type, result }) => type === 'task_completed' && JSON.stringify(result).includes('Say hello'))

  const [object, text] = worker.commands.slice(1)
  expect(object).toMatchObject({ type: 'execute', task: { id: TASK.id, priority: TASK.priority }, context })
  expect(text).toMatchObject({ type: 'execute', task: { description: 'Say hello' } })
  expect(text).not.toHaveProperty('context')
})

test('W-10, W-11: a spawn and a task exactly as in the reference lead to supersets of its answers', async () => {
  const { client } = await startEdge()
  const raw = await client()

  raw.send({
    type: 'spawn_session',
    payload: { orchestratorId: 'orchestrator-1', task: TASK, sessionType: 'claude-code' },
  })
  const spawned = await raw.type('session_spawned')
  const task = {
    id: 'task-456',
    type: 'test',
    description: 'stream Run the tests',
    priority: 'medium',
    status: 'pending',
  }
  raw.send({ type: 'execute_task', payload: { sessionId: spawned.sessionId, task } })
  await raw.type('task_completed')
  raw.send({
    type: 'execute_task',
    payload: { sessionId: spawned.sessionId, task: { ...task, id: 'task-457', description: 'fail Timeout exceeded' } },
  })
  await raw.type('task_failed')
  raw.send({ type: 'daemon_status' })
  await raw.type('daemon_status_response')

  for (const [type, example] of Object.entries(EXAMPLES)) {
    const frame = raw.frames.find((it) => it.type === type)
    expectSuperset(frame, example, type)
    expect(frame?.type).toBe(type)
  }
  expect(raw.frames.find((it) => it.type === 'task_completed')?.taskId).toBe('task-456')
})

test('W-12, W-17, W-18, W-44, W-45: status, list, stop and routing answer about the own session and echo the request id', async () => {
  const { client } = await startEdge()
  const raw = await client()
  const sessionId = await raw.spawn()

  const status = await raw.ask({ type: 'session_status', payload: { sessionId } })
  const list = await raw.ask({ type: 'list_sessions' })
  const routed = await raw.ask({ type: 'route_task', payload: { task: TASK } })
  const stopped = await raw.ask({ type: 'stop_session', payload: { sessionId } })

  expect(status).toMatchObject({
    type: 'session_status_update',
    sessionId,
    session: { id: sessionId, status: 'active' },
  })
  expect(list).toMatchObject({ type: 'sessions_list', sessions: [{ id: sessionId }] })
  expect(routed).toMatchObject({
    type: 'task_routed',
    taskId: 'task-123',
    decision: { worker: 'unassigned', shard: expect.any(Number), strategy: 'least-loaded' },
  })
  expect(stopped).toMatchObject({ type: 'session_status_update', session: { status: 'terminated' } })
})

test('a client that names its command hears when it is accepted, and that a repetition is one', async () => {
  const { client, worker } = await startEdge()
  const raw = await client()
  const sessionId = await raw.spawn()
  const message = { type: 'execute_task', commandId: 'mine', payload: { sessionId, task: 'once' } }

  raw.send(message)
  const accepted = await raw.type('command_accepted')
  await raw.type('task_completed')
  raw.frames.length = 0
  raw.send(message)
  const repeated = await raw.type('command_accepted')

  expect(accepted).toEqual({ type: 'command_accepted', commandId: 'mine', sessionId, duplicate: false })
  expect(repeated).toEqual({ type: 'command_accepted', commandId: 'mine', sessionId, duplicate: true, result: '1-3' })
  expect(worker.accepted.filter((id) => id === 'mine')).toHaveLength(1)
})

test('commands of one connection are accepted in the order in which they were sent', async () => {
  const { client, worker } = await startEdge()
  const spawner = await client()
  const sessionId = await spawner.spawn()
  const other = await client()
  const ids = Array.from({ length: 50 }, (_, index) => `command-${index}`)

  for (const commandId of ids) other.send({ type: 'execute_task', commandId, payload: { sessionId, task: 'hi' } })
  await other.next((frame) => frame.commandId === ids.at(-1))

  expect(worker.accepted.filter((id) => id.startsWith('command-'))).toEqual(ids)
})

test('W-31, W-50: whoever gives a session work sees its events without asking for them', async () => {
  const { client } = await startEdge()
  const spawner = await client()
  const sessionId = await spawner.spawn()
  const other = await client()

  other.send({ type: 'execute_task', payload: { sessionId, task: 'stream for two' } })
  await other.type('task_completed')
  await spawner.type('task_completed')

  expect(other.eventIds(sessionId)).toEqual(spawner.eventIds(sessionId).slice(1))
  expect([...other.texts(sessionId).values()]).toEqual(['for two'])
})

test('W-06: a binary frame is read like a text frame', async () => {
  const { client } = await startEdge()
  const raw = await client()

  raw.socket.send(Buffer.from(JSON.stringify({ type: 'ping', requestId: 7 })))

  expect(await raw.type('pong')).toEqual({ type: 'pong', requestId: 7 })
})

test('a memory profile goes to the worker, and stands in the row that the projection reads', async () => {
  const { client, rows } = await startEdge()
  const raw = await client()

  const [named, twice, none] = [
    await raw.spawn({ memoryProfile: 'trips' }),
    await raw.spawn({ memoryProfile: 'trips', options: { memoryProfile: 'taxes', model: 'm' } }),
    await raw.spawn({ memoryProfile: '' }),
  ]

  const spawnOf = (id: string) => JSON.parse(rows.rows.get(id)?.spawn ?? '{}') as { options?: object }
  expect([rows.rows.get(named), spawnOf(named)]).toMatchObject([
    { memoryProfile: 'trips' },
    { options: { memoryProfile: 'trips' } },
  ])
  expect([rows.rows.get(twice), spawnOf(twice)]).toMatchObject([
    { memoryProfile: 'taxes' },
    { options: { memoryProfile: 'taxes', model: 'm' } },
  ])
  expect(rows.rows.get(none)).not.toHaveProperty('memoryProfile')
  expect(spawnOf(none)).not.toHaveProperty('options')
  expect(await raw.ask({ type: 'spawn_session', payload: { task: 'x', memoryProfile: 'a\u0000b' } })).toMatchObject({
    ...{ type: 'error', code: 'invalid_payload' },
  })
})
