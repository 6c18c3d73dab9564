/**
 * A conversation was summed up, and its worker is lost: the next owner reads the summary back and goes on from it.
 */
import { expect, test } from 'vitest'
import { Window } from '../../src/memory/window.js'
import type { Model, ModelChunk, ModelRequest } from '../../src/models/model.js'
import { SUMMARY_PROMPT } from '../../src/runtimes/compaction-prompt.js'
import { LlmLoop } from '../../src/runtimes/llm-loop.js'
import { Toolbox } from '../../src/runtimes/tools/toolbox.js'
import { WorkerCluster } from '../support/worker-cluster.js'

const FILLER = 'filler '.repeat(350)
const USAGE = { promptTokens: 10, completionTokens: 5 }

/** Calls tools until its conversation is summed up; the first call after that hangs until its worker is lost. */
function hangingModel() {
  const requests: ModelRequest[] = []
  let hung = false
  const model: Model = {
    provider: 'openai',
    name: 'scripted',
    async *stream(request): AsyncGenerator<ModelChunk> {
      requests.push(request)
      if (request.system === SUMMARY_PROMPT) {
        yield { type: 'text', text: '<summary>the summary</summary>' }
      } else if (!request.messages[0]?.text.includes('the summary')) {
        yield { type: 'text', text: FILLER }
        const toolCalls = [{ callId: `c${requests.length}`, name: 'nothing', input: {} }]
        yield { type: 'end', toolCalls, finishReason: 'tool_calls', usage: USAGE }
        return
      } else if (!hung) {
        hung = true
        await new Promise((_, reject) => request.signal.addEventListener('abort', () => reject(request.signal.reason)))
      } else {
        yield { type: 'text', text: 'done' }
      }
      yield { type: 'end', toolCalls: [], finishReason: 'stop', usage: USAGE }
    },
  }
  return { model, requests }
}

test('the summary is asked for once, and both owners go on from it', async () => {
  const { model, requests } = hangingModel()
  const window = new Window({ maxTokens: 4_000, compactionEnabled: true, threshold: 0.8 })
  const runtime = new LlmLoop({ selectModel: () => model, costOf: () => 0, tools: new Toolbox([]), window })
  const cluster = await WorkerCluster.start({ runtimeOf: () => runtime })
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('llm', { description: 'the task itself' })
  const compacted = await session.event('context_compacted')
  await expect.poll(() => requests.at(-1)?.messages[0]?.text, { timeout: 10_000 }).toContain('the summary')
  const before = requests.at(-1)
  await cluster.takeOver('worker-2')

  const done = await session.event('task_completed')

  expect(done.result.output).toBe('done')
  expect(requests.filter(({ system }) => system === SUMMARY_PROMPT)).toHaveLength(1)
  expect(requests.at(-1)?.messages).toEqual(before?.messages)
  expect(requests.at(-1)?.messages[1]?.text).toContain('the task itself')
  expect(compacted).toMatchObject({ summary: 'the summary', metadata: { model: 'scripted', promptTokens: 10 } })
  const ends = session.events.flatMap((event) => (event.type === 'stream_end' ? [event.metadata.promptTokens] : []))
  expect(done.usage.promptTokens).toBe(ends.reduce((sum, tokens) => sum + tokens, 10))
})

/** Says the same long thing in every task, and sums up what it is told to. */
function talkativeModel() {
  const requests: ModelRequest[] = []
  const model: Model = {
    provider: 'openai',
    name: 'scripted',
    async *stream(request): AsyncGenerator<ModelChunk> {
      requests.push(request)
      const isSummary = request.system === SUMMARY_PROMPT
      yield { type: 'text', text: isSummary ? `<summary>summary ${requests.length}</summary>` : FILLER }
      yield { type: 'end', toolCalls: [], finishReason: 'stop', usage: USAGE }
    },
  }
  return { model, requests, summaries: () => requests.filter(({ system }) => system === SUMMARY_PROMPT).length }
}

test('a session that was summed up more than once tells its model under the next owner what it would have told it', async () => {
  const { model, requests, summaries } = talkativeModel()
  const window = new Window({ maxTokens: 4_000, compactionEnabled: true, threshold: 0.8 })
  const runtime = new LlmLoop({ selectModel: () => model, costOf: () => 0, tools: new Toolbox([]), window })
  const cluster = await WorkerCluster.start({ runtimeOf: () => runtime, maxContextTokens: 4_000 })
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('llm', { description: 'task 0' })
  await session.event('task_completed')
  let tasks = 0
  const another = async () => {
    tasks += 1
    await session.execute({ description: `task ${tasks}` })
    await session.event('task_completed', tasks)
  }
  while (summaries() < 2) await another()
  const [before] = requests.slice(-1)
  await cluster.takeOver('worker-2')

  await another()

  expect(summaries()).toBe(2)
  const said = { role: 'assistant', text: FILLER }
  const next = { role: 'user', text: expect.stringContaining(`Task: task ${tasks}`) }
  expect(requests.at(-1)?.messages).toEqual([...(before?.messages ?? []), said, next])
  expect(before?.messages[0]?.text).toContain('summary')
})
