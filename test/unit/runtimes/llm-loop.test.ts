/**
 * The loop of model calls and tool calls that makes a turn.
 */
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { numberedWords, type ScriptedModel, startScriptedModel } from '../../../scripts/demo/scripted-model.js'
import { costOf } from '../../../src/budget/prices.js'
import { AnthropicModel } from '../../../src/models/anthropic.js'
import { MALFORMED_INPUT, type Model, type ModelChunk, type ToolRequest } from '../../../src/models/model.js'
import { OpenAiModel } from '../../../src/models/openai.js'
import { LlmLoop } from '../../../src/runtimes/llm-loop.js'
import { OUTCOME_UNKNOWN } from '../../../src/runtimes/prompt.js'
import { standardTools } from '../../../src/runtimes/tools/toolbox.js'
import { type Entry, recordedTurn, textsOf, typesOf } from './recorded-turn.js'

const FAST = { attempts: 3, baseMs: 1, capMs: 5, totalMs: 5_000 }
const CRASH = 'the worker is gone'

let server: ScriptedModel
beforeAll(async () => {
  server = await startScriptedModel()
})
afterAll(() => server.stop())

const VENDORS: readonly (readonly [string, () => Model])[] = [
  ['openai', () => new OpenAiModel({ model: 'gpt-4o-mini', baseUrl: server.openaiUrl, retry: FAST })],
  ['anthropic', () => new AnthropicModel({ model: 'claude-sonnet-4-6', baseUrl: server.anthropicUrl, retry: FAST })],
]
const loopOf = (selectModel: () => Model) => new LlmLoop({ selectModel, costOf, tools: standardTools(), backoff: FAST })

describe.each(VENDORS)('with %s', (_vendor, modelOf) => {
  let workspace: string
  beforeEach(async () => {
    workspace = await mkdtemp(join(tmpdir(), 'workspace-'))
    await writeFile(join(workspace, 'README.md'), 'export one\nexport two\nnothing\n')
    await writeFile(join(workspace, 'b.ts'), 'export three\n')
  })

  test('X-07: a task with tools ends with a report whose numbers come from the files', async () => {
    const { turn, entries, effects } = await recordedTurn({ task: 'Write a report on "export"', workspace })

    const result = await loopOf(modelOf).run(turn)

    expect(result.output).toMatch(/2 files in the workspace; 3 lines contain "export"; README.md has 30 bytes/)
    expect(await readFile(join(workspace, 'report.md'), 'utf8')).toContain('- 3 lines contain "export"')
    expect(typesOf(entries)).toEqual([
      ...['messageStarted', 'messageEnded', 'toolStarted', 'toolEnded'],
      ...['messageStarted', 'messageEnded', 'toolStarted', 'toolEnded', 'toolStarted', 'toolEnded'],
      ...['messageStarted', 'messageEnded', 'toolStarted', 'toolEnded'],
      ...['messageStarted', 'messageEnded'],
    ])
    expect(effects()).toBe(8)
    expect(entries.every((entry) => entry.type !== 'messageEnded' || entry.cost > 0)).toBe(true)
  })

  test.each([1, 2, 3])('a stream that is cut %i times is continued: each number stands there once', async (cuts) => {
    server.cutNext(cuts, 9)
    const { turn, entries } = await recordedTurn({ task: 'Count to 60' })

    const result = await loopOf(modelOf).run(turn)

    expect(result.output).toBe(numberedWords(60))
    expect(textsOf(entries)).toBe(numberedWords(60))
    expect(typesOf(entries)).toEqual(['messageStarted', 'messageEnded'])
  })

  test('after three continuations in vain the user is told what happened', async () => {
    server.cutNext(4, 9)
    const { turn } = await recordedTurn({ task: 'Count to 60' })
    await expect(loopOf(modelOf).run(turn)).rejects.toMatchObject({ name: 'ServiceError', code: 'model_network' })
  }, 15_000)

  test('a crash at any entry of the journal is continued by the next owner to the same end', async () => {
    const task = 'Write a report on "export"'
    const whole = await recordedTurn({ task, workspace })
    const expected = await loopOf(modelOf).run(whole.turn)
    const bashRuns = (entries: readonly Entry[]) =>
      entries.filter((entry) => entry.type === 'toolStarted' && entry.call.name === 'bash_execute').length

    for (let crashAt = 1; crashAt <= whole.entries.length; crashAt++) {
      const first = await recordedTurn({ task, workspace, onEntry: crashAfter(crashAt) })
      await expect(loopOf(modelOf).run(first.turn)).rejects.toThrow(CRASH)
      const left = first.entries.slice(0, crashAt)
      const second = await recordedTurn({ task, workspace, entries: left })

      const result = await loopOf(modelOf).run(second.turn)

      const interrupted = left.at(-1)
      const lostCount = interrupted?.type === 'toolStarted' && interrupted.effect === 'once'
      expect(bashRuns(second.entries), `bash runs after a crash at entry ${crashAt}`).toBe(1)
      expect(textsOf(second.entries).length).toBeGreaterThan(0)
      if (lostCount) expect(result.output).toContain('outcome is unknown')
      else expect([crashAt, result.output]).toEqual([crashAt, expected.output])
      if (!lostCount) expect([crashAt, textsOf(second.entries)]).toEqual([crashAt, textsOf(whole.entries)])
    }
  }, 60_000)

  test('a message that was open with no text yet is asked for again, as the same message', async () => {
    const entries: Entry[] = [{ type: 'messageStarted', model: 'm' }]
    const { turn, entries: all } = await recordedTurn({ task: 'Count to 5', entries })
    const result = await loopOf(modelOf).run(turn)
    expect(result.output).toBe(numberedWords(5))
    expect(typesOf(all)).toEqual(['messageStarted', 'messageEnded'])
  })

  test('a refused key reaches the user in the words of the reference, without the key', async () => {
    server.failNext(1, 401, { message: 'Incorrect API key provided: sk-abc', type: 'invalid_request_error' })
    const { turn } = await recordedTurn({ task: 'Count to 5' })
    await expect(loopOf(modelOf).run(turn)).rejects.toMatchObject({
      code: 'model_auth',
      message: expect.stringMatching(/^(OpenAI|Anthropic) Authentication Error: the vendor refused/),
    })
  })

  test('cancelling ends the turn while the model streams', async () => {
    const slow = await startScriptedModel({ tokensPerSecond: 20 })
    const model = new OpenAiModel({ model: 'm', baseUrl: slow.openaiUrl })
    const { turn, entries, abort } = await recordedTurn({ task: 'Count to 2000' })
    const run = loopOf(() => model).run(turn)
    await expect.poll(() => textsOf(entries)).not.toBe('')

    abort.abort()

    await expect(run).rejects.toMatchObject({ name: 'AbortError' })
    expect(typesOf(entries)).toEqual(['messageStarted'])
    await slow.stop()
  })
})

/** Throws once `count` entries are on record: nothing after them is. */
function crashAfter(count: number): (entry: Entry) => void {
  let seen = 0
  return () => {
    if (++seen >= count) throw new Error(CRASH)
  }
}

/** A model that says what the test wants, for conversations that no script would lead to. */
function modelSaying(answers: readonly { text?: string; toolCalls?: readonly ToolRequest[] }[]) {
  const asked: { role: string; text: string }[][] = []
  const model: Model = {
    provider: 'openai',
    name: 'm',
    async *stream(request): AsyncGenerator<ModelChunk> {
      request.beforeAttempt()
      asked.push(request.messages.map(({ role, text }) => ({ role, text })))
      const { text = '', toolCalls = [] } = answers[asked.length - 1] ?? {}
      if (text) yield { type: 'text', text }
      yield { type: 'end', toolCalls, finishReason: 'stop', usage: { promptTokens: 1, completionTokens: 1 } }
    },
  }
  return { model, asked }
}

const call = (callId: string, name: string, input: Record<string, unknown>): ToolRequest => ({ callId, name, input })

test('reads of one answer run together, what changes something runs alone and in order', async () => {
  const toolCalls = [
    call('1', 'file_list', { path: '.' }),
    call('2', 'file_read', { path: 'none' }),
    call('3', 'file_write', { path: 'a', content: 'x' }),
    call('4', 'file_read', { path: 'a' }),
  ]
  const { turn, entries } = await recordedTurn({ task: 'go' })

  await loopOf(() => modelSaying([{ toolCalls }, { text: 'done' }]).model).run(turn)

  const order = entries.flatMap((entry) =>
    entry.type === 'toolStarted'
      ? [`+${entry.call.callId}`]
      : entry.type === 'toolEnded'
        ? [`-${entry.call.callId}`]
        : [],
  )
  expect(order).toEqual(['+1', '+2', '-1', '-2', '+3', '-3', '+4', '-4'])
})

test('X-09: a wrong call is answered with what was expected, and the model goes on', async () => {
  const toolCalls = [
    call('1', 'file_read', { [MALFORMED_INPUT]: '{"path": ' }),
    call('2', 'file_read', { file: 'a' }),
    call('3', 'make_coffee', {}),
  ]
  const { model, asked } = modelSaying([{ toolCalls }, { text: 'done' }])
  const { turn } = await recordedTurn({ task: 'go' })

  const result = await loopOf(() => model).run(turn)

  expect(result.output).toBe('done')
  expect(asked[1]?.slice(-3).map(({ text }) => text)).toEqual([
    expect.stringMatching(/not a JSON object; send one\. Received: \{"path":/),
    expect.stringMatching(/path: .*expected string/i),
    expect.stringMatching(/no tool make_coffee; there are: file_read, /),
  ])
})

test('a started call that may not be repeated ends as unknown; a started write runs again', async () => {
  const started = [
    call('1', 'bash_execute', { command: 'touch ran' }),
    call('2', 'file_write', { path: 'a', content: 'x' }),
  ]
  const left: Entry[] = [
    { type: 'messageStarted', model: 'm' },
    { type: 'messageEnded', toolCalls: started, finishReason: 'tool_calls', cost: 0, tokens: 0 },
    ...started.map((one): Entry => ({ type: 'toolStarted', call: one, effect: 'once' })),
  ]
  const { turn, entries } = await recordedTurn({ task: 'go', entries: left })

  await loopOf(() => modelSaying([{ text: 'done' }]).model).run(turn)

  const ends = entries.flatMap((entry) => (entry.type === 'toolEnded' ? [entry.outcome] : []))
  expect(ends).toEqual([OUTCOME_UNKNOWN, { status: 'completed', result: { path: 'a', size: 1, encoding: 'utf8' } }])
  expect(typesOf(entries.slice(left.length))).toEqual(['toolEnded', 'toolEnded', 'messageStarted', 'messageEnded'])
  await expect(readFile(join(turn.workspace, 'ran'))).rejects.toThrow('ENOENT')
})

test('a call that the journal refuses is not run, and the model is told why', async () => {
  const toolCalls = [call('1', 'bash_execute', { command: 'touch ran' })]
  const { model, asked } = modelSaying([{ toolCalls }, { text: 'done' }])
  const { turn } = await recordedTurn({ task: 'go', refusal: () => OUTCOME_UNKNOWN })

  await loopOf(() => model).run(turn)

  expect(asked[1]?.at(-1)?.text).toMatch(/outcome is unknown/)
  await expect(readFile(join(turn.workspace, 'ran'))).rejects.toThrow('ENOENT')
})

test('G-05: a call that the charter refuses is not run, and the model is told why', async () => {
  const toolCalls = [call('1', 'bash_execute', { command: 'touch ran' }), call('2', 'file_list', { path: '.' })]
  const { model, asked } = modelSaying([{ toolCalls }, { text: 'done' }])
  const refused = { status: 'failed', error: 'The charter says no.' } as const
  const permit = ({ name }: { name: string }) => (name === 'bash_execute' ? refused : undefined)
  const { turn, entries } = await recordedTurn({ task: 'go', permit })

  await loopOf(() => model).run(turn)

  expect(asked[1]?.at(-2)?.text).toBe('The charter says no.')
  await expect(readFile(join(turn.workspace, 'ran'))).rejects.toThrow('ENOENT')
  const started = entries.flatMap((entry) => (entry.type === 'toolStarted' ? [entry.effect] : []))
  expect(started, 'a refused call is on record as one that did nothing').toEqual(['read', 'read'])
})

test('a call that was refused before its worker was lost is not run by the next owner', async () => {
  const write = call('1', 'file_write', { path: 'ran', content: 'x' })
  const left: Entry[] = [
    { type: 'messageStarted', model: 'm' },
    { type: 'messageEnded', toolCalls: [write], finishReason: 'tool_calls', cost: 0, tokens: 0 },
    { type: 'toolStarted', call: write, effect: 'read' },
  ]
  const permit = () => ({ status: 'failed', error: 'The charter says no.' }) as const
  const { turn } = await recordedTurn({ task: 'go', entries: left, permit })

  await loopOf(() => modelSaying([{ text: 'done' }]).model).run(turn)

  await expect(readFile(join(turn.workspace, 'ran'))).rejects.toThrow('ENOENT')
})

test('a turn that had its last answer needs no further model call', async () => {
  const left: Entry[] = [
    { type: 'messageStarted', model: 'm' },
    { type: 'text', text: 'the answer' },
    { type: 'messageEnded', toolCalls: [], finishReason: 'stop', cost: 0, tokens: 0 },
  ]
  const { model, asked } = modelSaying([])
  const { turn } = await recordedTurn({ task: 'go', entries: left })
  expect(await loopOf(() => model).run(turn)).toEqual({ output: 'the answer' })
  expect(asked).toEqual([])
})

test('calls that an earlier, cancelled task left without a result do not reach the vendor unanswered', async () => {
  const { model, asked } = modelSaying([{ text: 'done' }])
  const { turn } = await recordedTurn({ task: 'second task' })
  const messages = [
    { role: 'user' as const, text: 'first task' },
    { role: 'assistant' as const, text: '', toolCalls: [call('1', 'file_list', { path: '.' })] },
    ...turn.progress.messages,
  ]

  await loopOf(() => model).run({ ...turn, progress: { ...turn.progress, messages } })

  expect(asked[0]?.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'user'])
})

test('a model that never comes to an end is stopped after 40 calls', async () => {
  const again = { toolCalls: [call('1', 'file_list', { path: '.' })] }
  const { model, asked } = modelSaying(Array.from({ length: 100 }, () => again))
  const { turn } = await recordedTurn({ task: 'go' })
  await expect(loopOf(() => model).run(turn)).rejects.toMatchObject({ code: 'too_many_steps', details: { limit: 40 } })
  expect(asked).toHaveLength(40)
})

test('a process that may start no effect any more calls neither model nor tool', async () => {
  const refuse = () => {
    throw new Error('the lease is over')
  }
  const { turn, entries } = await recordedTurn({ task: 'go', beforeEffect: refuse })
  const { model, asked } = modelSaying([{ text: 'done' }])
  await expect(loopOf(() => model).run(turn)).rejects.toThrow('the lease is over')
  expect(asked).toEqual([])
  expect(typesOf(entries)).toEqual(['messageStarted'])
})
