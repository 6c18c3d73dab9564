/**
 * Row V2: sessions, prompts and approvals, as the session manager of the SDK asks for them.
 */
import { expect, test, vi } from 'vitest'
import type { ApprovalDecisions } from '../../../src/edge/rows.js'
import { startEdge } from '../wire/edge-fixture.js'
import { connectV2, type V2Client } from './v2-fixture.js'

const TASK = { type: 'general', description: 'wait', priority: 'medium' }
const SPAWN = { orchestratorId: 'planner', sessionType: 'echo', task: TASK }

const create = async (client: V2Client, more: object = {}): Promise<string> =>
  (await client.ask('session.create', { ...SPAWN, ...more })).id

test('WEB: session.create answers with the session, and its events follow', async () => {
  const { url } = await startEdge()
  const client = await connectV2(url)

  const info = await client.ask('session.create', SPAWN)

  expect(info).toMatchObject({
    ...{ id: expect.stringMatching(/^session_/), orchestratorId: 'planner', sessionType: 'echo' },
    ...{ task: TASK, startedAt: expect.any(String), metrics: { tokensUsed: 0, durationMs: 0, tasksCompleted: 0 } },
  })
  expect(['initializing', 'running']).toContain(info.status)
  expect(await client.event('session.created')).toMatchObject({ id: info.id, sessionId: info.id, status: 'running' })
  const answer = client.frames.findIndex(({ type, payload }) => type === 'res' && payload.id === info.id)
  expect(client.frames.findIndex(({ event }) => event === 'session.created')).toBeGreaterThan(answer)
})

test('without subscribe nothing of a session is told', async () => {
  const { url } = await startEdge()
  const client = await connectV2(url)

  const sessionId = await create(client, { subscribe: false })
  const { promptId } = await client.ask('prompt.submit', { sessionId, prompt: 'hi', stream: false })

  await vi.waitFor(async () => {
    const { task } = await client.ask('session.status', { sessionId })
    expect(task.description).toBe('wait')
  })
  expect(promptId).toMatch(/^task_/)
  expect(client.names()).toEqual([])
})

test('a key makes one session of many requests, and another body under it is a conflict', async () => {
  const { url, rows } = await startEdge()
  const client = await connectV2(url)

  const first = await create(client, { idempotencyKey: 'once' })
  const second = await create(client, { idempotencyKey: 'once' })

  expect(second).toBe(first)
  expect(rows.rows.size).toBe(1)
  expect(
    await client.refusal('session.create', { ...SPAWN, task: { description: 'other' }, idempotencyKey: 'once' }),
  ).toMatchObject({ code: 'CONFLICT', details: { code: 'idempotency_conflict' }, retryable: false })
})

test('V2: a prompt streams from its start to its end', async () => {
  const { url } = await startEdge()
  const client = await connectV2(url)
  const sessionId = await create(client)

  const submitted = await client.ask('prompt.submit', { sessionId, prompt: 'stream one two three' })

  const { promptId } = submitted
  expect(submitted).toMatchObject({ sessionId, promptId: expect.stringMatching(/^task_/), duplicate: false })
  const end = await client.event('stream.end', (payload) => payload.promptId === promptId)
  expect(end).toMatchObject({
    ...{ sessionId, promptId, eventId: expect.stringMatching(/^\d+-\d+$/) },
    ...{ usage: { inputTokens: 1, outputTokens: 2 }, metadata: { output: 'stream one two three' } },
  })
  expect(await client.event('stream.start')).toMatchObject({ sessionId, promptId, model: 'scripted' })
  expect(await client.event('stream.chunk')).toMatchObject({ sessionId, promptId, chunkType: 'text', content: 'one ' })
  expect(client.text(promptId)).toBe('one two three')
  const order = ['stream.start', 'stream.chunk', 'stream.end'].map((name) => client.names().indexOf(name))
  expect(order).toEqual(order.toSorted((a, b) => a - b))
})

test('a prompt that fails ends its stream with the error', async () => {
  const { url } = await startEdge()
  const client = await connectV2(url)
  const sessionId = await create(client)

  const { promptId } = await client.ask('prompt.submit', { sessionId, prompt: 'fail the vendor is away' })

  expect(await client.event('stream.error')).toMatchObject({
    ...{ sessionId, promptId },
    error: { code: 'INTERNAL', message: 'the vendor is away', retryable: true, details: { code: 'internal' } },
  })
})

test('a prompt under a key is one prompt, however often it is sent', async () => {
  const { url, worker } = await startEdge()
  const client = await connectV2(url)
  const sessionId = await create(client)
  const prompt = { sessionId, prompt: 'hi', idempotencyKey: 'p-1' }

  const first = await client.ask('prompt.submit', prompt)
  await client.event('stream.end')
  const second = await client.ask('prompt.submit', prompt)

  expect(second.promptId).toBe(first.promptId)
  expect(second.duplicate).toBe(true)
  expect(worker.accepted.filter((id) => id === 'p-1')).toHaveLength(1)
})

test('a prompt brings its context along', async () => {
  const { url } = await startEdge()
  const client = await connectV2(url)
  const sessionId = await create(client)

  await client.ask('prompt.submit', { sessionId, prompt: 'hi', context: { file: 'a.txt' } })

  expect(await client.event('stream.end')).toMatchObject({ metadata: { output: 'hi' } })
})

test.each([
  ['model', { model: 'gpt-5' }],
  ['maxTokens', { maxTokens: 5 }],
])('a %s for one prompt is refused instead of ignored', async (_name, more) => {
  const { url } = await startEdge()
  const client = await connectV2(url)
  const sessionId = await create(client)

  const error = await client.refusal('prompt.submit', { sessionId, prompt: 'hi', ...more })

  expect(error).toMatchObject({ code: 'INVALID_REQUEST', message: expect.stringContaining('session.create') })
})

test('session.status tells how a session stands, and session.stop ends it', async () => {
  const { url } = await startEdge()
  const client = await connectV2(url)
  const sessionId = await create(client)
  await client.event('session.created')

  const before = await client.ask('session.status', { sessionId })
  const stopped = await client.ask('session.stop', { sessionId, reason: 'enough', force: true })
  const told = await client.event('session.stopped')

  expect(before).toMatchObject({ id: sessionId, status: 'running' })
  expect(stopped).toEqual({ sessionId, status: 'terminated', stopped: true })
  expect(told).toMatchObject({ sessionId, status: 'terminated' })
  expect(await client.event('session.status', ({ status }) => status === 'terminated')).toMatchObject({ sessionId })
  expect(await client.ask('session.status', { sessionId })).toMatchObject({ status: 'terminated' })
})

test('session.resume goes on with a paused session and shows it from now on', async () => {
  const { url, client: raw } = await startEdge()
  const client = await connectV2(url)
  const sessionId = await create(client, { subscribe: false })
  const first = await raw()
  await first.ask({ type: 'pause_session', payload: { sessionId } })
  await vi.waitFor(async () =>
    expect(await client.ask('session.status', { sessionId })).toMatchObject({ status: 'paused' }),
  )

  const resumed = await client.ask('session.resume', { sessionId })
  await client.event('session.status', ({ status }) => status === 'running')
  await client.ask('prompt.submit', { sessionId, prompt: 'hi' })

  expect(resumed).toMatchObject({ id: sessionId, eventId: expect.stringMatching(/^\d+-\d+$/) })
  expect(await client.event('stream.end')).toMatchObject({ metadata: { output: 'hi' } })
  expect(client.names()).not.toContain('session.created')
})

test('a prompt shows a session that was not watched before', async () => {
  const { url } = await startEdge()
  const client = await connectV2(url)
  const sessionId = await create(client, { subscribe: false })

  const { promptId } = await client.ask('prompt.submit', { sessionId, prompt: 'stream a b' })

  expect(await client.event('stream.end')).toMatchObject({ promptId })
  expect(client.text(promptId)).toBe('a b')
})

test('session.list pages by offset and tells how many there are', async () => {
  const { url } = await startEdge()
  const client = await connectV2(url)
  for (const orchestratorId of ['a', 'b', 'c']) await create(client, { orchestratorId, subscribe: false })

  const all = await client.ask('session.list')
  const two = await client.ask('session.list', { limit: 2, offset: 0 })

  expect(all).toMatchObject({ total: 3, limit: 50, offset: 0 })
  expect(all.sessions.map((info: { orchestratorId: string }) => info.orchestratorId).toSorted()).toEqual([
    'a',
    'b',
    'c',
  ])
  expect(two).toMatchObject({ total: 3, limit: 2, sessions: [expect.any(Object), expect.any(Object)] })
})

test('prompt.cancel is brought to the session', async () => {
  const { url, worker } = await startEdge()
  const client = await connectV2(url)
  const sessionId = await create(client)
  await client.event('session.created')
  const before = worker.accepted.length

  expect(await client.ask('prompt.cancel', { sessionId, promptId: 'task_1' })).toEqual({
    ...{ sessionId, promptId: 'task_1', cancelled: true },
  })
  expect(await client.ask('prompt.cancel', { sessionId })).toMatchObject({ promptId: null })

  expect(worker.accepted).toHaveLength(before + 2)
})

test('tool.approve and tool.deny decide about a call that waits', async () => {
  const decide = vi.fn<ApprovalDecisions['decide']>(async () => ({ status: 'decided' }))
  const { url, worker } = await startEdge({ approvals: { decide, list: async () => [] } })
  const client = await connectV2(url)
  const sessionId = await create(client)
  await client.event('session.created')
  const asked = { approvalId: 'approval_1', callId: 'call-1', toolName: 'bash', toolInput: { command: 'ls' } }
  const expiresAt = '2026-01-01T01:00:00.000Z'
  await worker.append(sessionId, [
    { type: 'approval_request', taskId: 't', ...asked, reason: 'it lists', level: 'confirm', expiresAt },
  ])

  const request = await client.event('tool.request')
  const { requestId } = request
  expect(request).toMatchObject({
    ...{ sessionId, requestId: 'approval_1', toolName: 'bash', toolInput: { command: 'ls' } },
    ...{ requiresApproval: true, approvalTimeoutMs: 3_600_000, reason: 'it lists' },
  })
  await client.ask('tool.approve', { sessionId, requestId })
  await client.ask('tool.deny', { sessionId, requestId, reason: 'look elsewhere' })
  const changed = await client.refusal('tool.approve', { sessionId, requestId, modifiedInput: { command: 'pwd' } })

  expect(decide.mock.calls.map(([{ id, decision, comment }]) => [id, decision, comment])).toEqual([
    ['approval_1', 'approve', undefined],
    ['approval_1', 'reject', 'look elsewhere'],
  ])
  expect(changed).toMatchObject({ code: 'INVALID_REQUEST', message: expect.stringContaining('modifiedInput') })
})

test('an approval that is closed is a conflict, and one that nobody knows is not found', async () => {
  const answers = [{ status: 'closed', state: 'approved' }, { status: 'missing' }] as const
  let asked = 0
  const decide = async () => answers[asked++] ?? answers[1]
  const { url } = await startEdge({ approvals: { decide, list: async () => [] } })
  const client = await connectV2(url)
  const sessionId = await create(client)

  const [closed, missing] = [
    await client.refusal('tool.approve', { sessionId, requestId: 'x' }),
    await client.refusal('tool.deny', { sessionId, requestId: 'x' }),
  ]

  expect(closed).toMatchObject({ code: 'CONFLICT', details: { code: 'approval_closed' } })
  expect(missing).toMatchObject({ code: 'NOT_FOUND', details: { code: 'approval_not_found' } })
})
