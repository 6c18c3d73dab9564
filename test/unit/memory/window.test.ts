/**
 * What of a conversation is sent, and when its beginning is to be summed up.
 */
import { expect, test } from 'vitest'
import { messageTokens, tokenCount } from '../../../src/memory/tokens.js'
import { Window, type WindowRequest, type WindowSettings } from '../../../src/memory/window.js'
import type { ModelMessage } from '../../../src/models/model.js'
import { compactedMessages } from '../../../src/runtimes/compacted.js'
import { seededRandom } from '../../support/random.js'

const MAX = 4_000
const windowOf = (more: Partial<WindowSettings> = {}) =>
  new Window({ maxTokens: MAX, compactionEnabled: true, threshold: 0.8, ...more })

const user = (text: string): ModelMessage => ({ role: 'user', text })
const says = (text: string): ModelMessage => ({ role: 'assistant', text })
const words = (count: number): string => 'word '.repeat(count)

function requestOf(messages: readonly ModelMessage[], provider: 'openai' | 'anthropic' = 'openai'): WindowRequest {
  return { model: { provider }, system: 'You are an agent.', tools: [], messages, maxTokens: 500 }
}

test('a conversation that is far from full is sent as it is', async () => {
  const messages = [user('hello'), says('hello yourself')]

  expect(await windowOf().due(requestOf(messages))).toBe(0)
  expect(await windowOf().fit(requestOf(messages))).toBe(messages)
})

test.each([
  [0.5, 20],
  [0.8, 32],
])('M-04: at a threshold of %d the beginning is due when the window is that full', async (threshold, turns) => {
  const window = windowOf({ threshold })
  const of = (count: number) => requestOf(Array.from({ length: count }, (_, n) => (n % 2 ? says : user)(words(95))))

  expect(await window.due(of(turns - 1))).toBe(0)
  expect(await window.due(of(turns + 2))).toBeGreaterThan(2)
})

test('what is left after a summary is about a quarter of the window, and is not due again', async () => {
  const messages = Array.from({ length: 40 }, (_, n) => (n % 2 ? says : user)(words(95)))
  const window = windowOf()
  const request = requestOf(messages)
  const due = await window.due(request)
  const shorter = compactedMessages(messages, { messages: due, summary: words(100) })

  expect(await window.tokensOf({ ...request, messages: shorter })).toBeLessThan(0.4 * MAX)
  expect(await window.due({ ...request, messages: shorter })).toBe(0)
})

test('nothing is due where summing up is switched off: only the end is sent', async () => {
  const messages = Array.from({ length: 60 }, (_, n) => (n % 2 ? says : user)(`${n} ${words(95)}`))
  const window = windowOf({ compactionEnabled: false })

  expect(await window.due(requestOf(messages))).toBe(0)
  const sent = await window.fit(requestOf(messages))
  expect(sent.at(-1)).toBe(messages.at(-1))
  expect(sent.length).toBeLessThan(45)
})

test('with Anthropic the size is estimated, and never by less than a tenth too little for English', async () => {
  const text = 'The quick brown fox jumps over the lazy dog, and the report of the week is due on Monday. '.repeat(50)
  const [counted, estimated] = await Promise.all([tokenCount('openai'), tokenCount('anthropic')])

  expect(estimated(text)).toBeGreaterThan(counted(text))
})

test('instructions that leave no room for a conversation are refused with what to do', async () => {
  const request = { ...requestOf([user(words(2_000))]), system: words(3_500) }

  await expect(windowOf().fit(request)).rejects.toMatchObject({ code: 'context_too_small' })
})

test('M-10: whatever a conversation holds, what is sent fits, holds the task and ends as it does', {
  timeout: 60_000,
}, async () => {
  const random = seededRandom('window')
  const count = await tokenCount('openai')
  for (let round = 0; round < 60; round++) {
    const messages: ModelMessage[] = [user(`first ${words(random.integer(0, 400))}`)]
    for (let step = random.integer(1, 25); step > 0; step--) {
      if (random.next() < 0.3) messages.push(user(`task ${step} ${words(random.integer(0, 3_000))}`))
      const calls = Array.from({ length: random.integer(0, 3) }, (_, n) => `c${step}.${n}`)
      const toolCalls = calls.map((callId) => ({ callId, name: 'bash_execute', input: { command: 'x' } }))
      messages.push({ role: 'assistant', text: words(random.integer(0, 500)), toolCalls })
      for (const callId of calls) {
        messages.push({ role: 'tool', callId, text: words(random.integer(0, 4_000)), isError: false })
      }
    }
    const sent = await windowOf().fit(requestOf(messages))

    const tokens = sent.reduce((sum, message) => sum + messageTokens(message, count), 0)
    const task = messages.findLast(({ role }) => role === 'user')
    expect(tokens).toBeLessThanOrEqual(MAX - 500)
    expect(sent.some(({ text }) => text.startsWith(task?.text.slice(0, 8) ?? '?'))).toBe(true)
    expect(sent.at(-1)?.role).toBe(messages.at(-1)?.role)
    for (const [at, message] of sent.entries()) if (message.role === 'tool') expect(at).toBeGreaterThan(0)
    expect(await windowOf().fit(requestOf(messages))).toEqual(sent)
  }
})
