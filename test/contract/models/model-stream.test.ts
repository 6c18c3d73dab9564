import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { numberedWords, type ScriptedModel, startScriptedModel } from '../../../scripts/demo/scripted-model.js'
import { AnthropicModel } from '../../../src/models/anthropic.js'
import type { RetryPolicy } from '../../../src/models/backoff.js'
import type { Model, ModelMessage, ModelRequest } from '../../../src/models/model.js'
import { OpenAiModel } from '../../../src/models/openai.js'

const FAST: RetryPolicy = { attempts: 3, baseMs: 1, capMs: 5, totalMs: 10_000 }
const TOOL = {
  name: 'file_list',
  description: 'lists',
  parameters: { type: 'object', properties: { path: { type: 'string' } } },
}

let server: ScriptedModel
beforeAll(async () => {
  server = await startScriptedModel()
})
afterAll(() => server.stop())

const MODELS: readonly (readonly [string, () => Model])[] = [
  ['openai', () => new OpenAiModel({ model: 'gpt-4o-mini', baseUrl: server.openaiUrl, apiKey: 'k', retry: FAST })],
  [
    'anthropic',
    () => new AnthropicModel({ model: 'claude-sonnet-4-6', baseUrl: server.anthropicUrl, apiKey: 'k', retry: FAST }),
  ],
]

function requestOf(messages: readonly ModelMessage[], more: Partial<ModelRequest> = {}): ModelRequest {
  const signal = new AbortController().signal
  return { system: 'Be brief.', messages, tools: [TOOL], maxTokens: 500, signal, beforeAttempt: () => {}, ...more }
}

const user = (text: string): ModelMessage => ({ role: 'user', text })

async function answerOf(model: Model, request: ModelRequest) {
  const texts: string[] = []
  for await (const chunk of model.stream(request)) {
    if (chunk.type === 'end') return { texts, text: texts.join(''), end: chunk }
    texts.push(chunk.text)
  }
  throw new Error('no end chunk')
}

describe.each(MODELS)('%s over its real streaming protocol', (_vendor, modelOf) => {
  test('an answer arrives in pieces and ends with the reason and the counted tokens', async () => {
    const { texts, text, end } = await answerOf(modelOf(), requestOf([user('Count to 50')]))

    expect(text).toBe(numberedWords(50))
    expect(texts.length).toBeGreaterThan(10)
    expect(end).toMatchObject({ finishReason: 'stop', toolCalls: [] })
    expect(end.usage.completionTokens).toBe(Math.ceil(text.length / 4))
    expect(end.usage.promptTokens).toBeGreaterThan(0)
  })

  test('several tool calls of one answer arrive with their ids and parsed arguments, beside the text', async () => {
    const list = { callId: 'call_0_list', name: 'file_list', input: { path: '.', recursive: true } }
    const found = JSON.stringify({ files: [{ type: 'file', path: 'README.md' }] })

    const { text, end } = await answerOf(
      modelOf(),
      requestOf([
        user('Write a report on "export"'),
        { role: 'assistant', text: 'I look.', toolCalls: [list] },
        { role: 'tool', callId: list.callId, text: found, isError: false },
      ]),
    )

    expect(text).toContain('There are 1 files')
    expect(end.finishReason).toBe('tool_calls')
    expect(end.toolCalls).toMatchObject([
      { callId: 'call_0_read', name: 'file_read', input: { path: 'README.md' } },
      { callId: 'call_0_count', name: 'bash_execute', input: { command: expect.stringContaining('grep') } },
    ])
  })

  test('results of parallel calls are all seen by the model', async () => {
    const calls = ['list', 'read', 'count'].map((step) => ({ callId: `call_0_${step}`, name: step, input: {} }))
    const results = [{ files: [] }, { path: 'a', size: 7 }, { stdout: '42\n' }]

    const { end } = await answerOf(
      modelOf(),
      requestOf([
        user('report'),
        { role: 'assistant', text: '', toolCalls: calls },
        ...calls.map(
          ({ callId }, i): ModelMessage => ({ role: 'tool', callId, text: JSON.stringify(results[i]), isError: false }),
        ),
      ]),
    )

    expect(end.toolCalls[0]?.input).toMatchObject({ content: expect.stringMatching(/42 lines.*\n- a has 7 bytes/) })
  })

  test('a refusal for overload before the first chunk is repeated, and each request is announced', async () => {
    server.failNext(1, 429, { message: 'slow down', retryAfter: 0 })
    server.failNext(1, 503, { message: 'overloaded' })
    let attempts = 0

    const { text } = await answerOf(
      modelOf(),
      requestOf([user('Count to 3')], { beforeAttempt: () => void attempts++ }),
    )

    expect(text).toBe('1 amber 2 birch 3 cedar')
    expect(attempts).toBe(3)
  })

  test.each([
    [401, { message: 'Incorrect API key provided: sk-secret', type: 'authentication_error' }, 'auth'],
    [403, { message: 'no', type: 'permission_error' }, 'auth'],
    [400, { message: 'bad', type: 'invalid_request_error' }, 'invalid_request'],
    [404, { message: 'no such model', type: 'not_found_error' }, 'invalid_request'],
    [402, { message: 'pay first', type: 'billing_error' }, 'quota'],
  ] as const)('HTTP %i is not repeated: nothing would change', async (status, error, kind) => {
    server.failNext(1, status, error)
    let attempts = 0
    const call = answerOf(modelOf(), requestOf([user('Count to 3')], { beforeAttempt: () => void attempts++ }))

    await expect(call).rejects.toMatchObject({ name: 'ModelError', kind, retryable: false })
    await expect(call).rejects.not.toThrow(/sk-secret/)
    expect(attempts).toBe(1)
  })

  test.each([
    [429, 'rate_limit'],
    [500, 'server'],
    [529, 'server'],
  ] as const)('HTTP %i without end is given up after the agreed number of requests', async (status, kind) => {
    server.failNext(3, status, { message: 'again', retryAfter: 0 })
    let attempts = 0
    const call = answerOf(modelOf(), requestOf([user('Count to 3')], { beforeAttempt: () => void attempts++ }))

    await expect(call).rejects.toMatchObject({ kind, retryable: true })
    expect(attempts).toBe(3)
  })

  test('a vendor that asks for a longer wait than the caller has is not waited for', async () => {
    server.failNext(1, 429, { message: 'later', retryAfter: 60 })
    const call = answerOf(modelOf(), requestOf([user('Count to 3')]))
    await expect(call).rejects.toMatchObject({ kind: 'rate_limit', retryAfterMs: 60_000 })
  })

  test('a stream that is cut after some text fails as cut, and what was shown stays', async () => {
    server.cutNext(1, 8)
    const shown: string[] = []
    const call = (async () => {
      for await (const chunk of modelOf().stream(requestOf([user('Count to 50')]))) {
        if (chunk.type === 'text') shown.push(chunk.text)
      }
    })()

    await expect(call).rejects.toMatchObject({ name: 'ModelError', kind: 'cut', retryable: true })
    expect(shown.length).toBeGreaterThan(0)
    expect(numberedWords(50).startsWith(shown.join(''))).toBe(true)
  })

  test('a stream that is cut before any text is simply asked again', async () => {
    server.cutNext(1, 1)
    const { text } = await answerOf(modelOf(), requestOf([user('Count to 3')]))
    expect(text).toBe('1 amber 2 birch 3 cedar')
  })

  test('what beforeAttempt throws ends the call as it is, without a request', async () => {
    const before = server.requests().length
    const refuse = () => {
      throw new RangeError('no effects any more')
    }
    await expect(answerOf(modelOf(), requestOf([user('hi')], { beforeAttempt: refuse }))).rejects.toThrow(RangeError)
    expect(server.requests().length).toBe(before)
  })

  test('nobody listening is a network failure', async () => {
    const unused = await startScriptedModel()
    await unused.stop()
    const settings = { model: 'm', apiKey: 'k', retry: FAST }
    const model =
      modelOf().provider === 'openai'
        ? new OpenAiModel({ ...settings, baseUrl: unused.openaiUrl })
        : new AnthropicModel({ ...settings, baseUrl: unused.anthropicUrl })
    await expect(answerOf(model, requestOf([user('hi')]))).rejects.toMatchObject({ kind: 'network', retryable: true })
  })
})

describe('aborting', () => {
  let slow: ScriptedModel
  beforeAll(async () => {
    slow = await startScriptedModel({ tokensPerSecond: 20, firstTokenMs: 30 })
  })
  afterAll(() => slow.stop())

  test.each(['openai', 'anthropic'])('%s ends with an AbortError while a paced stream is running', async (vendor) => {
    const model =
      vendor === 'openai'
        ? new OpenAiModel({ model: 'm', baseUrl: slow.openaiUrl })
        : new AnthropicModel({ model: 'm', baseUrl: slow.anthropicUrl })
    const abort = new AbortController()
    let texts = 0
    const call = (async () => {
      for await (const chunk of model.stream(requestOf([user('Count to 5000')], { signal: abort.signal }))) {
        if (chunk.type === 'text' && ++texts === 2) setTimeout(() => abort.abort(), 10)
      }
    })()

    await expect(call).rejects.toMatchObject({ name: 'AbortError' })
    expect(texts).toBeLessThan(10)
  })

  test('a wait between two requests ends too', async () => {
    slow.failNext(1, 429, { message: 'wait', retryAfter: 20 })
    const model = new OpenAiModel({ model: 'm', baseUrl: slow.openaiUrl })
    const abort = new AbortController()
    const call = answerOf(model, requestOf([user('Count to 3')], { signal: abort.signal }))
    await expect.poll(() => slow.requests().length).toBeGreaterThan(0)

    setTimeout(() => abort.abort(), 20)

    await expect(call).rejects.toMatchObject({ name: 'AbortError' })
  }, 5_000)
})
