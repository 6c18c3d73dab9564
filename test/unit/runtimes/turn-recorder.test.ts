/**
 * What Claude Code says, in whatever order, becomes a journal in the order that it has everywhere.
 */
import type { SDKMessage } from '@anthropic-ai/claude-agent-sdk'
import { expect, test } from 'vitest'
import type { ToolUse } from '../../../src/runtimes/claude/claude-process.js'
import { promptOf } from '../../../src/runtimes/claude/prompts.js'
import { MAX_STEPS, TurnRecorder } from '../../../src/runtimes/claude/turn-recorder.js'
import type { ToolOutcome } from '../../../src/runtimes/runtime.js'
import type { Trace } from '../../../src/telemetry/tracing.js'
import { RecordedSpans } from '../../support/recorded-spans.js'
import { type Entry, recordedTurn, textsOf, typesOf } from './recorded-turn.js'

const said = (message: object): SDKMessage => ({ session_id: 's', uuid: 'u', ...message }) as unknown as SDKMessage
const event = (body: object): SDKMessage => said({ type: 'stream_event', parent_tool_use_id: null, event: body })
const usage = { input_tokens: 7, output_tokens: 0, cache_read_input_tokens: 3 }
const start = event({ type: 'message_start', message: { model: 'claude', usage } })
const text = (words: string) =>
  event({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: words } })
const asks = (id: string, name: string, input: object) => [
  event({ type: 'content_block_start', index: 1, content_block: { type: 'tool_use', id, name, input: {} } }),
  event({
    type: 'content_block_delta',
    index: 1,
    delta: { type: 'input_json_delta', partial_json: JSON.stringify(input) },
  }),
]
const stop = (reason: string) => [
  event({ type: 'message_delta', delta: { stop_reason: reason }, usage: { output_tokens: 5 } }),
  event({ type: 'message_stop' }),
]
const result = (fields: object = {}) =>
  said({ type: 'result', subtype: 'success', is_error: false, result: 'Done.', ...fields })
const fromAgent = (id: string, ...content: object[]) =>
  said({
    ...{ type: 'assistant', parent_tool_use_id: 'call-0', subagent_type: 'coder' },
    message: { id, model: 'claude', content, usage: { input_tokens: 2, output_tokens: 1 } },
  })
const use = (callId: string, name = 'Bash'): ToolUse => ({ callId, name, input: { command: 'ls' }, agent: undefined })

async function recording(entries: readonly Entry[] = [], refusal?: ToolOutcome, trace?: Trace) {
  const recorded = await recordedTurn({ task: 'do it', entries })
  const recorder = new TurnRecorder(
    { ...recorded.turn, trace },
    {
      costOf: () => 0.5,
      effectOf: (name) => (name === 'Read' ? 'read' : 'once'),
      refusalOf: async () => refusal,
      onAnswer: () => undefined,
      onToolEnded: () => undefined,
    },
  )
  const take = async (...messages: readonly (SDKMessage | SDKMessage[])[]) => {
    for (const message of messages.flat()) await recorder.take(message)
  }
  return { ...recorded, recorder, take, added: () => recorded.entries.slice(entries.length) }
}

test('an answer is one message with its text, its tokens and its cost', async () => {
  const { recorder, take, entries } = await recording()
  await take(start, text('Hel'), text('lo'), stop('end_turn'), result({ result: 'Hello' }))

  expect(await recorder.done).toBe('Hello')
  expect(textsOf(entries)).toBe('Hello')
  expect(entries.at(-1)).toMatchObject({ type: 'messageEnded', finishReason: 'stop', tokens: 15, cost: 0.5 })
})

test('a tool that begins while its message is being written waits until the message is on record', async () => {
  const { recorder, take, entries } = await recording()
  await take(start, ...asks('call-1', 'Bash', { command: 'ls' }))
  const allowed = recorder.beforeTool(use('call-1'))
  expect(await Promise.race([allowed, Promise.resolve('waits')])).toBe('waits')

  await take(...stop('tool_use'))

  expect(await allowed).toBeUndefined()
  await recorder.afterTool(use('call-1'), { status: 'completed', response: { stdout: 'x' } })
  expect(typesOf(entries)).toEqual(['messageStarted', 'messageEnded', 'toolStarted', 'toolEnded'])
  expect(entries.at(-1)).toMatchObject({ outcome: { status: 'completed', result: { stdout: 'x' } } })
})

test('answers, broken ones too, and tool calls are told to the trace of the turn', async () => {
  const spans = new RecordedSpans()
  const { recorder, take } = await recording([], undefined, spans.root)
  await take(start, text('Half an ans'))
  await take(start, text('Listing.'), ...asks('call-1', 'Bash', { command: 'ls' }), ...stop('tool_use'))
  await recorder.beforeTool(use('call-1'))
  await recorder.afterTool(use('call-1'), { status: 'completed', response: { stdout: 'x' } })

  const told = spans.all.slice(1)
  expect(told.map(({ name, error }) => [name, error])).toEqual([
    ['chat claude', 'cut'],
    ['chat claude', undefined],
    ['execute_tool Bash', undefined],
  ])
  expect(new Set(told.map(({ parent, isOver }) => `${parent} ${isOver}`))).toEqual(
    new Set([`${spans.root.traceparent} true`]),
  )
  expect(told[1]?.attributes).toMatchObject({ 'gen_ai.provider.name': 'anthropic', 'gen_ai.usage.output_tokens': 5 })
})

test('a refused call does not run, and is on record as one that did nothing', async () => {
  const { recorder, take, entries } = await recording([], { status: 'failed', error: 'The charter says no.' })
  await take(start, ...asks('call-1', 'Bash', { command: 'ls' }), ...stop('tool_use'))

  expect(await recorder.beforeTool(use('call-1'))).toBe('The charter says no.')
  expect(entries.slice(-2)).toMatchObject([{ type: 'toolStarted', effect: 'read' }, { outcome: { status: 'failed' } }])
})

test('of an answer that broke off and is written anew, what was shown stands and its calls are not made', async () => {
  const { recorder, take, entries } = await recording()
  await take(start, text('Half an ans'), ...asks('call-1', 'Bash', { command: 'ls' }))
  const held = recorder.beforeTool(use('call-1'))

  await take(start, text('Whole.'), ...stop('end_turn'), result({ result: 'Whole.' }))

  expect(await held).toMatch(/broke off/)
  expect(entries.filter(({ type }) => type === 'messageEnded')).toMatchObject([
    { finishReason: 'cancelled', toolCalls: [] },
    { finishReason: 'stop' },
  ])
  expect(await recorder.done).toBe('Whole.')
})

test('what an agent says while the session speaks comes after it, and its tokens are counted once', async () => {
  const { take, entries } = await recording()
  await take(start, text('I delegate.'), ...asks('call-0', 'Agent', { subagent_type: 'coder' }))
  await take(fromAgent('m1', { type: 'text', text: 'Coder here.' }))
  await take(fromAgent('m1', { type: 'tool_use', id: 'call-1', name: 'Bash', input: {} }))
  expect(textsOf(entries)).toBe('I delegate.')

  await take(...stop('tool_use'))

  expect(textsOf(entries)).toBe('I delegate.Coder here.')
  expect(entries.filter(({ type }) => type === 'messageEnded')).toMatchObject([
    { tokens: 15 },
    { tokens: 3 },
    { tokens: 0 },
  ])
})

test('a call that Claude Code itself refuses has a result too', async () => {
  const { take, entries } = await recording()
  await take(start, ...asks('call-1', 'Bash', {}), ...stop('tool_use'))
  const content = [{ type: 'tool_result', tool_use_id: 'call-1', is_error: true, content: 'command is missing' }]
  await take(said({ type: 'user', parent_tool_use_id: null, message: { role: 'user', content } }))

  expect(entries.at(-1)).toMatchObject({
    type: 'toolEnded',
    outcome: { status: 'failed', error: 'command is missing' },
  })
})

test('the end closes what is still open', async () => {
  const { take, entries } = await recording()
  await take(start, ...asks('call-1', 'Bash', {}), ...stop('tool_use'), start, text('cut'), result())

  expect(typesOf(entries).slice(-3)).toEqual(['messageEnded', 'toolStarted', 'toolEnded'])
})

test.each([
  [
    { is_error: true, api_error_status: 401, result: 'bad key sk-123' },
    'model_auth',
    /^Anthropic Auth[^k]*key \(HTTP 401\)$/,
  ],
  [{ is_error: true, api_error_status: 404, result: 'no such model' }, 'model_invalid_request', /no such model/],
  [{ is_error: true, api_error_status: 429, result: 'slow down' }, 'model_rate_limit', /slow down/],
  [{ is_error: true, api_error_status: 529, result: 'overloaded' }, 'model_network', /overloaded/],
  [{ is_error: true, terminal_reason: 'api_error', result: 'Connection error.' }, 'model_network', /Connection error/],
  [{ is_error: true, api_error_status: 400, result: 'credit balance is too low' }, 'model_quota', /credit/],
  [{ subtype: 'error_during_execution', errors: ['boom'] }, 'runtime_failed', /boom/],
])('a result that is an error fails the turn: %j', async (fields, code, sentence) => {
  const { recorder, take } = await recording()
  await take(result(fields))
  await expect(recorder.done).rejects.toMatchObject({ code, message: expect.stringMatching(sentence) })
})

test('a transcript that could not be kept ends the turn', async () => {
  const { recorder, take } = await recording()
  await take(said({ type: 'system', subtype: 'mirror_error', error: 'fenced' }))
  await expect(recorder.done).rejects.toMatchObject({ code: 'unavailable' })
  expect(recorder.hasLostWrites).toBe(true)
})

test('a turn that calls the model for ever is ended', async () => {
  const { recorder, take } = await recording()
  for (let step = 0; step <= MAX_STEPS; step++) await take(start, ...stop('tool_use'))
  await expect(recorder.done).rejects.toMatchObject({ code: 'too_many_steps' })
})

test('after its turn has ended a recorder writes nothing and lets no tool run', async () => {
  const { recorder, take, entries } = await recording()
  await take(start, ...asks('call-1', 'Bash', {}), ...stop('tool_use'))
  const before = entries.length
  recorder.close(new Error('cancelled'))
  await take(start, text('more'), result())

  expect(await recorder.beforeTool(use('call-1'))).toMatch(/not made/)
  expect(entries).toHaveLength(before)
  await recorder.over
})

test('a message that a former owner left open is continued, and the prompt says how far it came', async () => {
  const { recorder, take, added, turn } = await recording([
    { type: 'messageStarted', model: 'claude' },
    { type: 'text', text: 'One, two' },
  ])
  expect(promptOf(turn)).toMatch(/do it[\s\S]*One, two[\s\S]*Continue exactly/)
  await take(start, text(', three'), ...stop('end_turn'), result({ result: ', three' }))

  expect(typesOf(added())).toEqual(['messageEnded'])
  expect(await recorder.done).toBe('One, two, three')
})

test('the prompt of a turn that goes on names calls that began and calls that did not', async () => {
  const call = (callId: string, command: string) => ({ callId, name: 'Bash', input: { command } })
  const toolCalls = [call('c1', 'first'), call('c2', 'second')]
  const { turn } = await recording([
    { type: 'messageStarted', model: 'claude' },
    { type: 'messageEnded', toolCalls, finishReason: 'tool_calls', cost: 0, tokens: 0 },
    { type: 'toolStarted', call: call('c1', 'first'), effect: 'once' },
  ])
  expect(promptOf(turn)).toMatch(/outcome is unknown:\n- Bash .*first[^-]*not made:\n- Bash .*second/)
})
