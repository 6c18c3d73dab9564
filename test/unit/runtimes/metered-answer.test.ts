import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { MeteredAnswer } from '../../../src/runtimes/claude/metered-answer.js'

const event = (data: object) => `event: ${(data as { type?: string }).type}\ndata: ${JSON.stringify(data)}\n\n`
const START = event({
  type: 'message_start',
  message: { usage: { input_tokens: 5, cache_read_input_tokens: 90, output_tokens: 1 } },
})
const TOOL = event({
  type: 'content_block_start',
  index: 1,
  content_block: { type: 'tool_use', name: 'Bash', input: {} },
})
const text = (piece: string) =>
  event({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: piece } })
const END = event({ type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 42 } })

/** The answer as it is passed on, in pieces of so many bytes. */
async function pass(answer: string, pieceBytes: number) {
  const bytes = Buffer.from(answer)
  const pieces = Array.from({ length: Math.ceil(bytes.length / pieceBytes) }, (_, i) =>
    bytes.subarray(i * pieceBytes, (i + 1) * pieceBytes),
  )
  const metered = new MeteredAnswer()
  const passed = await buffer(Readable.from(pieces).pipe(metered))
  return { metered, passed: passed.toString() }
}

test.each([1, 7, 100_000])('an answer in pieces of %i bytes is passed on as it is, and counted', async (pieceBytes) => {
  const answer = START + text('Grüße "usage" {') + TOOL + END
  const { metered, passed } = await pass(answer, pieceBytes)
  expect(passed).toBe(answer)
  expect(metered.usage).toEqual({ promptTokens: 95, completionTokens: 42, cachedTokens: 90 })
  expect(metered.tools).toEqual(['Bash'])
})

test('an answer that is cut counts what was sent, and its pieces', async () => {
  const { metered } = await pass(START + text('one') + text('two') + text('three'), 50)
  expect(metered.usage).toMatchObject({ promptTokens: 95, completionTokens: 3 })
})

test('an answer in one piece is counted too', async () => {
  const content = [
    { type: 'text', text: 'x' },
    { type: 'tool_use', name: 'Read' },
  ]
  const { metered } = await pass(JSON.stringify({ content, usage: { input_tokens: 7, output_tokens: 3 } }), 9)
  expect(metered.usage).toEqual({ promptTokens: 7, completionTokens: 3 })
  expect(metered.tools).toEqual(['Read'])
})

test('a refusal, and what is not understood, has used nothing', async () => {
  const { metered } = await pass('{"type":"error","usage"', 4)
  expect(metered.usage).toEqual({ promptTokens: 0, completionTokens: 0 })
})
