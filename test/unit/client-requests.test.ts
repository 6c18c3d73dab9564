/**
 * A question is asked until it is answered, always under the same ids.
 */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { ClientError } from '../../src/client/client-error.js'
import { Requests } from '../../src/client/requests.js'
import type { ServerMessage } from '../../src/protocol/events.js'

beforeEach(() => {
  vi.useFakeTimers()
})

afterEach(() => {
  vi.useRealTimers()
})

const message = { type: 'stop_session', commandId: 'c', payload: { sessionId: 's' } } as const
const accepted = (requestId: string): ServerMessage => ({
  type: 'command_accepted',
  commandId: 'c',
  sessionId: 's',
  duplicate: false,
  requestId,
})
const refused = (requestId: string, retryable: boolean, retryAfterMs = 250): ServerMessage => ({
  type: 'error',
  error: 'no',
  code: 'busy',
  retryable,
  requestId,
  retryAfterMs,
})

function fixture() {
  const sent: string[] = []
  const requests = new Requests((frame) => {
    sent.push(frame)
    return true
  })
  return { sent, requests }
}

test('what has no answer is sent again on a new connection, and then no more', async () => {
  const { sent, requests } = fixture()
  const asked = requests.ask(message, 'command_accepted', (answer) => answer.commandId)

  requests.resend()
  requests.settle(accepted('1'))
  requests.resend()

  expect(await asked).toBe('c')
  expect(sent).toHaveLength(2)
  expect(sent[0]).toBe(sent[1])
})

test('a busy server is asked again after the time it names, a final refusal is an error', async () => {
  const { sent, requests } = fixture()
  const asked = requests.ask(message, 'command_accepted', (answer) => answer)

  requests.settle(refused('1', true))
  vi.advanceTimersByTime(249)
  const early = sent.length
  vi.advanceTimersByTime(1)
  requests.settle(refused('1', false))

  expect([early, sent.length]).toEqual([1, 2])
  await expect(asked).rejects.toMatchObject({ code: 'busy' })
})

test('an event that a question caused is not its answer', () => {
  const { requests } = fixture()
  const status = { type: 'session_status', payload: { sessionId: 's' } } as const
  void requests.ask(status, 'session_status_update', (answer) => answer)
  const event = { type: 'session_status_update', eventId: '1-2', timestamp: 't', requestId: '1' } as ServerMessage

  expect(requests.settle(event)).toBe(false)
})

test('no answer within a minute is an error, and so is the end of the client', async () => {
  const { requests } = fixture()
  const late = requests.ask(message, 'command_accepted', (answer) => answer)
  const timedOut = expect(late).rejects.toMatchObject({ code: 'timeout' })
  vi.advanceTimersByTime(60_000)
  await timedOut

  const cut = requests.ask(message, 'command_accepted', (answer) => answer)
  const closed = expect(cut).rejects.toMatchObject({ code: 'closed' })
  requests.failAll(new ClientError('closed', 'the client was closed'))
  await closed
})

test('a refusal says whether the same may have been taken before', async () => {
  const outcomes = []
  for (const before of ['nothing', 'outcome_unknown', 'a lost connection']) {
    const { requests } = fixture()
    const asked = requests.ask(message, 'command_accepted', (answer) => answer).catch((error: unknown) => error)
    if (before === 'outcome_unknown') requests.settle({ ...refused('1', true), code: before } as ServerMessage)
    if (before === 'a lost connection') requests.resend()
    requests.settle(refused('1', false))
    outcomes.push(((await asked) as ClientError).details.mayBeTaken)
  }

  expect(outcomes).toEqual([undefined, true, true])
})
