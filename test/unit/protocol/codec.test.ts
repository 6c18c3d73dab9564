import { expect, test } from 'vitest'
import { decode, errorReply } from '../../../src/protocol/codec.js'
import { ERRORS, ServiceError } from '../../../src/protocol/errors.js'

const nested = (depth: number): string => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`
const withContext = (context: string): string =>
  `{"type":"execute_task","requestId":7,"payload":{"sessionId":"s","task":"t","context":${context}}}`

const timed = (timing: object): string =>
  JSON.stringify({ type: 'execute_task', payload: { sessionId: 's', task: { description: 'x', ...timing } } })

test.each([
  ['broken JSON', '{"type":', 'invalid_message'],
  ['null', 'null', 'invalid_message'],
  ['a number', '42', 'invalid_message'],
  ['an empty frame', '', 'invalid_message'],
  ['an array', '[]', 'unknown_type'],
  ['an object without a type', '{}', 'unknown_type'],
  ['an unknown type', '{"type":"explode"}', 'unknown_type'],
  ['a type that is inherited by every object', '{"type":"constructor"}', 'unknown_type'],
  ['a missing payload', '{"type":"stop_session"}', 'invalid_message'],
  ['a null payload', '{"type":"stop_session","payload":null}', 'invalid_message'],
  ['a payload of the wrong type', '{"type":"stop_session","payload":{"sessionId":5}}', 'invalid_payload'],
  ['an empty task', '{"type":"spawn_session","payload":{"task":""}}', 'invalid_payload'],
  ['an unknown session type', '{"type":"spawn_session","payload":{"task":"t","sessionType":"x"}}', 'invalid_payload'],
  ['a task that waits for too many others', timed({ dependsOn: Array(33).fill('a') }), 'invalid_payload'],
  ['a task that waits for nothing', timed({ blockedBy: [] }), 'invalid_payload'],
  ['a time that is none', timed({ runAt: 'tomorrow' }), 'invalid_payload'],
  ['a delay in the past', timed({ delayMs: -1 }), 'invalid_payload'],
  ['a delay of two years', timed({ delayMs: 2 * 366 * 86_400_000 }), 'invalid_payload'],
  ['a pattern without end', timed({ repeat: { cron: '* '.repeat(100) } }), 'invalid_payload'],
  ['a context that nests too deep', withContext(nested(5_000)), 'invalid_payload'],
])('%s is refused with the code of the table', (_what, frame, code) => {
  const decoded = decode(frame)

  expect(decoded).toMatchObject({ ok: false, error: { code } })
})

test('a refusal names the field and echoes the request id', () => {
  const decoded = decode('{"type":"execute_task","id":"r-1","payload":{"sessionId":"s","task":{"priority":"urgent"}}}')

  if (decoded.ok) throw new Error('decoded')
  expect(errorReply(decoded.error, { requestId: decoded.requestId })).toMatchObject({
    type: 'error',
    code: 'invalid_payload',
    requestId: 'r-1',
    retryable: false,
    error: expect.stringContaining('payload.task'),
  })
})

test('a context of ordinary depth passes unchanged', () => {
  const decoded = decode(withContext(nested(20)))

  expect(decoded).toMatchObject({ ok: true, requestId: 7, message: { payload: { context: JSON.parse(nested(20)) } } })
})

test('every sentence of the table is filled from the details that it names', () => {
  const details = { limit: 1, sessionId: 's', status: 'x', taskId: 't', key: 'k', retryAfterMs: 5, reason: 'r' }
  const more = { action: 'a', provider: 'p', type: 'y', attempts: 3, id: 'd', incident: 'i', approvalId: 'v' }
  const budget = { used: 9, period: 'day', scope: 'z', relief: 'l' }
  const schedule = { task: 'k', outcome: 'o', scheduleId: 'n' }
  const server = { name: 'm', tokens: 9, path: '/x', method: 'PUT', min: 1, max: 3 }
  const second = { subscriptionId: 'sub', memoryId: 'mem' }
  const left = Object.keys(ERRORS).filter((code) =>
    /[{}]|unknown/.test(
      new ServiceError(code as keyof typeof ERRORS, {
        ...details,
        ...more,
        ...budget,
        ...schedule,
        ...server,
        ...second,
      }).message.replace('Unknown', ''),
    ),
  )

  expect(left).toEqual([])
})
