import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { AnthropicModel } from '../../../src/models/anthropic.js'
import { MALFORMED_INPUT, type Model, type ModelChunk, type ModelRequest } from '../../../src/models/model.js'
import { OpenAiModel } from '../../../src/models/openai.js'

/** Streams that a correct vendor never sends, written byte by byte. */
const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

async function serve(write: (response: ServerResponse) => void): Promise<string> {
  const server = createServer((request, response) => {
    request.resume().once('end', () => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      write(response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const ONCE = { attempts: 1, baseMs: 1, capMs: 1, totalMs: 1000 }
const openai = (baseUrl: string) => new OpenAiModel({ model: 'm', baseUrl, retry: ONCE })
const anthropic = (baseUrl: string) => new AnthropicModel({ model: 'm', baseUrl, retry: ONCE })

const openaiChunk = (delta: object, finish: string | null = null) =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`
const anthropicEvent = (type: string, rest: object = {}) =>
  `event: ${type}\ndata: ${JSON.stringify({ type, ...rest })}\n\n`
const anthropicText = (text: string) =>
  anthropicEvent('content_block_delta', { index: 0, delta: { type: 'text_delta', text } })

const HELLO = { openai: openaiChunk({ content: 'hello' }), anthropic: anthropicText('hello') }

async function chunksOf(model: Model): Promise<ModelChunk[]> {
  const request: ModelRequest = {
    system: '',
    messages: [{ role: 'user', text: 'hi' }],
    tools: [],
    maxTokens: 10,
    signal: new AbortController().signal,
    beforeAttempt: () => {},
  }
  const chunks: ModelChunk[] = []
  for await (const chunk of model.stream(request)) chunks.push(chunk)
  return chunks
}

describe.each([
  ['openai', openai, HELLO.openai],
  ['anthropic', anthropic, HELLO.anthropic],
] as const)('%s', (_vendor, modelAt, hello) => {
  test.each<[string, (response: ServerResponse) => void]>([
    ['ends politely without having said why', (response) => response.end()],
    ['is reset in the middle', (response) => setTimeout(() => response.destroy(), 20)],
    ['ends in half a line', (response) => response.end('event: content_block_delta\ndata: {"choices": [{"ind\n\n')],
    [
      'reports an overload',
      (response) =>
        response.end('event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n'),
    ],
  ])('a stream with text that %s is cut', async (_what, finish) => {
    const url = await serve((response) => {
      response.write(hello)
      finish(response)
    })
    await expect(chunksOf(modelAt(url))).rejects.toMatchObject({ kind: 'cut', retryable: true })
  })

  test('a stream that ends at once is a network failure, because nothing was shown', async () => {
    const url = await serve((response) => response.end())
    await expect(chunksOf(modelAt(url))).rejects.toMatchObject({ kind: 'network', retryable: true })
  })
})

test.each([
  ['{"path": "a', { [MALFORMED_INPUT]: '{"path": "a' }],
  ['[1, 2]', { [MALFORMED_INPUT]: '[1, 2]' }],
  ['', {}],
  ['{"path":"a"}', { path: 'a' }],
])('arguments written as %j reach the loop as one object', async (json, input) => {
  const url = await serve((response) => {
    const call = { index: 0, function: { name: 'file_read', arguments: json } }
    response.write(openaiChunk({ tool_calls: [call] }))
    response.end(`${openaiChunk({}, 'tool_calls')}data: [DONE]\n\n`)
  })

  const [end] = await chunksOf(openai(url))

  expect(end).toMatchObject({ toolCalls: [{ name: 'file_read', input, callId: expect.stringMatching(/^call_./) }] })
})

test('a server that counts no tokens and knows no stream options still answers', async () => {
  const url = await serve((response) => response.end(HELLO.openai + openaiChunk({}, 'length')))
  expect(await chunksOf(openai(url))).toEqual([
    { type: 'text', text: 'hello' },
    { type: 'end', toolCalls: [], finishReason: 'length', usage: { promptTokens: 0, completionTokens: 0 } },
  ])
})
