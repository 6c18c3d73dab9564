/**
 * What a client hears when it is wrong: the contract's sentences with a code, and the connection goes on.
 */
import { expect, test } from 'vitest'
import { startEdge } from './edge-fixture.js'

const UNKNOWN = 'session_000_01ARZ3NDEKTSV4RRFFQ69G5FAV'

const MISTAKES: readonly [name: string, frame: string, error: string | RegExp, code: string][] = [
  // W-60
  ['bad JSON', '{"type":', 'Invalid message format', 'invalid_message'],
  ['null', 'null', 'Invalid message format', 'invalid_message'],
  ['a status without payload', '{"type":"session_status"}', 'Invalid message format', 'invalid_message'],
  ['a stop without payload', '{"type":"stop_session"}', 'Invalid message format', 'invalid_message'],
  ['a task without payload', '{"type":"execute_task"}', 'Invalid message format', 'invalid_message'],
  // W-65
  ['a spawn without payload', '{"type":"spawn_session"}', 'Invalid message format', 'invalid_message'],
  // W-61
  ['an unknown type', '{"type":"dance"}', 'Unknown message type', 'unknown_type'],
  ['an empty object', '{}', 'Unknown message type', 'unknown_type'],
  ['a list', '[]', 'Unknown message type', 'unknown_type'],
  [
    'a wrong type inside',
    '{"type":"session_status","payload":{"sessionId":7}}',
    /^Invalid message format: payload\.sessionId: /,
    'invalid_payload',
  ],
  [
    // W-62
    'an unknown session',
    `{"type":"session_status","payload":{"sessionId":"${UNKNOWN}"}}`,
    `Session not found: ${UNKNOWN}`,
    'session_not_found',
  ],
  [
    'a session id of another system',
    '{"type":"execute_task","payload":{"sessionId":"session_abc123","task":"hi"}}',
    'Session not found: session_abc123',
    'session_not_found',
  ],
]

test.each(MISTAKES)(
  '%s is answered with the contract’s sentence and a code, and the connection is kept',
  async (...row) => {
    const [, frame, error, code] = row
    const { client } = await startEdge()
    const raw = await client()

    raw.send(frame)
    raw.send({ type: 'ping' })
    await raw.type('pong')

    expect(raw.frames).toHaveLength(2)
    expect(raw.frames[0]).toMatchObject({ type: 'error', code, retryable: false })
    expect(raw.frames[0]?.error).toEqual(typeof error === 'string' ? error : expect.stringMatching(error))
  },
)

test('W-07, W-42: an error names the session and echoes the request', async () => {
  const { client } = await startEdge()
  const raw = await client()

  const error = await raw.ask({ type: 'stop_session', commandId: 'mine', payload: { sessionId: UNKNOWN } })

  expect(error).toEqual({
    type: 'error',
    error: `Session not found: ${UNKNOWN}`,
    code: 'session_not_found',
    retryable: false,
    sessionId: UNKNOWN,
    requestId: 'ask-1',
    commandId: 'mine',
  })
})

test('W-63: a spawn is refused while every worker has as many sessions as it may have, and the connection is kept', async () => {
  const full = { busy: 5, capacity: 5, queued: 0 }
  const { client } = await startEdge({ workers: [full, full] })
  const raw = await client()

  const error = await raw.ask({ type: 'spawn_session', payload: { task: 'one too many' } })

  expect(error).toMatchObject({ type: 'error', error: 'Failed to spawn session: Max sessions reached' })
  expect(error.code).toBe('max_sessions')
  expect(await raw.ask({ type: 'ping' })).toMatchObject({ type: 'pong' })
  const { client: elsewhere } = await startEdge({ workers: [full, { ...full, busy: 4 }] })
  expect(await (await elsewhere()).spawn()).toMatch(/^session_/)
})

test('W-64: a task for a session that has ended is refused with its status', async () => {
  const { client } = await startEdge()
  const raw = await client()
  const sessionId = await raw.spawn()
  await raw.ask({ type: 'stop_session', payload: { sessionId } })

  const error = await raw.ask({ type: 'execute_task', payload: { sessionId, task: 'more' } })

  expect(error).toMatchObject({
    type: 'error',
    error: expect.stringContaining(`Session ${sessionId} is not running (status: terminated)`),
    code: 'session_not_running',
    sessionId,
  })
})

test('W-04: a frame above the limit is answered, and the connection is kept', async () => {
  const { client } = await startEdge({ settings: { maxPayloadBytes: 4_096 } })
  const raw = await client()

  raw.send({ type: 'ping', commandId: 'x'.repeat(5_000) })
  const error = await raw.type('error')

  expect(error).toMatchObject({ code: 'message_too_large', error: expect.stringContaining('4096 bytes') })
  expect(await raw.ask({ type: 'ping' })).toMatchObject({ type: 'pong' })
})

test('a frame far above the limit ends the connection, because it is never read whole', async () => {
  const { client } = await startEdge({ settings: { maxPayloadBytes: 4_096 } })
  const raw = await client()

  raw.send({ type: 'ping', commandId: 'x'.repeat(1_000_000) })

  await expect.poll(() => raw.closed !== undefined).toBe(true)
})

test('an idempotency key that stands for another body is a conflict', async () => {
  const { client } = await startEdge()
  const raw = await client()
  await raw.spawn({ idempotencyKey: 'k' })

  const error = await raw.ask({ type: 'spawn_session', payload: { idempotencyKey: 'k', task: 'another' } })

  expect(error).toMatchObject({ type: 'error', code: 'idempotency_conflict' })
})

test('a broken store is an internal error with an incident number, and the connection is kept', async () => {
  const { client, rows } = await startEdge()
  const raw = await client()
  rows.listByTenant = () => Promise.reject(new Error('password=hunter2'))

  const error = await raw.ask({ type: 'list_sessions' })

  expect(error).toMatchObject({ code: 'internal', retryable: true })
  expect(JSON.stringify(error)).not.toContain('hunter2')
  expect(await raw.ask({ type: 'ping' })).toMatchObject({ type: 'pong' })
})
