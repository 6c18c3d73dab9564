/**
 * What the journal does about a call that must never run twice.
 */
import { expect, test, vi } from 'vitest'
import type { ModelMessage, ToolRequest } from '../../../src/models/model.js'
import { ServiceError } from '../../../src/protocol/errors.js'
import { type CallPlace, StepJournal } from '../../../src/worker/step-journal.js'

const usage = { promptTokens: 1, completionTokens: 1 }
const call = (callId: string): ToolRequest => ({ callId, name: 'deploy', input: {} })

function journal(beginOnce: (place: CallPlace) => Promise<boolean>, messages: readonly ModelMessage[] = [], steps = 0) {
  const record = vi.fn(async () => undefined)
  const begin = vi.fn(beginOnce)
  const withdraw = vi.fn()
  const made = new StepJournal({
    base: () => ({ sessionId: 's', timestamp: 't' }),
    record,
    stepsOf: () => [],
    openMessage: () => undefined,
    text: () => undefined,
    beginOnce: begin,
    hooks: { withdraw, after: async () => undefined },
    saveWorkspace: async () => undefined,
    progress: { messages, steps },
    part: undefined,
  })
  const answer = async (...toolCalls: ToolRequest[]) => {
    await made.messageStarted('m')
    await made.messageEnded({ toolCalls, finishReason: 'tool_calls', usage, cost: 0 })
  }
  const places = () => begin.mock.calls.map(([{ step, position }]) => [step, position])
  return { journal: made, record, answer, places, withdraw }
}

test('a call that may run again asks nobody', async () => {
  const { journal: it, answer, places } = journal(async () => true)
  await answer(call('a'), call('b'))
  expect(await it.toolStarted(call('a'), 'read')).toBeUndefined()
  expect(await it.toolStarted(call('b'), 'idempotent')).toBeUndefined()
  expect(places()).toEqual([])
})

test('the place of a call is its step and its position in the answer', async () => {
  const { journal: it, answer, places } = journal(async () => true)
  await answer(call('a'), call('b'))
  await it.toolStarted(call('b'), 'once')
  await answer(call('c'))
  await it.toolStarted(call('c'), 'once')
  expect(places()).toEqual([
    [1, 1],
    [2, 0],
  ])
})

test('a next owner finds the same place for a call that its predecessor did not begin', async () => {
  const messages: ModelMessage[] = [{ role: 'assistant', text: '', toolCalls: [call('a'), call('b')] }]
  const { journal: it, places } = journal(async () => true, messages, 3)
  await it.toolStarted(call('b'), 'once')
  expect(places()).toEqual([[3, 1]])
})

test('a call that was noted before is refused, and its beginning is in the log all the same', async () => {
  const { journal: it, answer, record } = journal(async () => false)
  await answer(call('a'))
  record.mockClear()
  expect(await it.toolStarted(call('a'), 'once')).toMatchObject({ error: expect.stringContaining('unknown') })
  expect(record).toHaveBeenCalledTimes(1)
})

test('a call that could not be noted down fails as unavailable, and the turn goes on', async () => {
  const { journal: it, answer } = journal(async () => Promise.reject(new ServiceError('unavailable')))
  await answer(call('a'))
  expect(await it.toolStarted(call('a'), 'once')).toMatchObject({ error: expect.stringMatching(/^unavailable/) })
})

test('an abort while a call waits to be noted down ends the turn', async () => {
  const reason = { kind: 'cancelled' }
  const { journal: it, answer } = journal(async () => Promise.reject(reason))
  await answer(call('a'))
  await expect(it.toolStarted(call('a'), 'once')).rejects.toBe(reason)
})

test('a call that may have run before has no hooks after it', async () => {
  const { journal: it, answer, withdraw } = journal(async () => false)
  await answer(call('a'))

  await it.toolStarted(call('a'), 'once')

  expect(withdraw).toHaveBeenCalledWith('a')
})
