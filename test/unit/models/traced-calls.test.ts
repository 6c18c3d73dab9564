/**
 * What a trace is told of model calls: how they went, and nothing of what was said.
 */
import { expect, test } from 'vitest'
import { metered } from '../../../src/models/metered.js'
import { type Model, type ModelChunk, ModelError, type ModelRequest } from '../../../src/models/model.js'
import { RecordedSpans } from '../../support/recorded-spans.js'

const TEXT: ModelChunk = { type: 'text', text: 'the secret of the zeppelin' }
const END: ModelChunk = {
  ...{ type: 'end', toolCalls: [], finishReason: 'stop' },
  usage: { promptTokens: 12, completionTokens: 3, cachedTokens: 4 },
}

function modelThat(says: readonly (ModelChunk | Error)[]) {
  const spans = new RecordedSpans()
  const vendor: Model = {
    provider: 'openai',
    name: 'gpt-test',
    async *stream() {
      for (const chunk of says) {
        if (chunk instanceof Error) throw chunk
        yield chunk
      }
    },
  }
  const request: ModelRequest = {
    ...{ system: 'be a zeppelin', messages: [{ role: 'user', text: 'zeppelin?' }], tools: [], maxTokens: 100 },
    ...{ signal: new AbortController().signal, beforeAttempt: () => undefined, trace: spans.root },
  }
  return { spans, chunks: metered(vendor, { costOf: () => 0, onCall: () => undefined }).stream(request), request }
}

async function readAll(chunks: AsyncIterable<ModelChunk>): Promise<void> {
  for await (const _chunk of chunks);
}

test('an answer is one span with its tokens and why it ended, without a word of it', async () => {
  const { spans, chunks } = modelThat([TEXT, END])
  await readAll(chunks)

  const [span] = spans.named('chat gpt-test')
  expect(span).toMatchObject({ parent: spans.root.traceparent, isOver: true, error: undefined })
  expect(span?.attributes).toEqual({
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': 'openai',
    'gen_ai.request.model': 'gpt-test',
    'gen_ai.request.max_tokens': 100,
    'gen_ai.usage.input_tokens': 12,
    'gen_ai.usage.output_tokens': 3,
    'gen_ai.usage.cache_read.input_tokens': 4,
    'gen_ai.response.finish_reasons': ['stop'],
  })
})

test.each([
  ['the vendor’s failure', new ModelError('rate_limit', 'too fast', true), 'rate_limit'],
  ['an abort', new DOMException('stopped', 'AbortError'), 'aborted'],
])('%s is the span’s error', async (_name, failure, error) => {
  const { spans, chunks } = modelThat([TEXT, failure])
  await expect(readAll(chunks)).rejects.toThrow()

  expect(spans.named('chat gpt-test')).toMatchObject([{ isOver: true, error }])
})

test('a call whose reader leaves has a span that ends', async () => {
  const { spans, chunks } = modelThat([TEXT, END])
  for await (const _chunk of chunks) break

  expect(spans.named('chat gpt-test')).toMatchObject([{ isOver: true, error: 'aborted' }])
})

test('without a trace none is told', async () => {
  const { spans, request } = modelThat([])
  const { trace: _trace, ...untraced } = request
  const vendor: Model = {
    provider: 'openai',
    name: 'm',
    stream: async function* () {
      yield END
    },
  }
  await readAll(metered(vendor, { costOf: () => 0, onCall: () => undefined }).stream(untraced))

  expect(spans.all.map(({ name }) => name)).toEqual(['root'])
})
