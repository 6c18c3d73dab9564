/**
 * A conversation that fills its window is summed up by the model, recorded, and gone on with; a crash anywhere repeats at
 * most that one call.
 */
import { expect, test } from 'vitest'
import { Window } from '../../../src/memory/window.js'
import type { Model, ModelChunk, ModelRequest } from '../../../src/models/model.js'
import type { AgentMemory } from '../../../src/runtimes/agent-memory.js'
import { foundFacts, SUMMARY_PROMPT, transcriptOf } from '../../../src/runtimes/compaction-prompt.js'
import { LlmLoop } from '../../../src/runtimes/llm-loop.js'
import { Toolbox } from '../../../src/runtimes/tools/toolbox.js'
import { type Entry, recordedTurn, typesOf } from './recorded-turn.js'

const MAX_TOKENS = 4_000
const FILLER = 'filler '.repeat(350)
const ROUNDS = 14
const SUMMARY =
  '<summary>so far so good</summary><facts>[{"key":"Colour","fact":"The user likes blue","messages":[1]}]</facts>'

class CrashedHere extends Error {}

/** Asks for a tool that does not exist, `ROUNDS` times, with much text; then answers. Sums up when it is asked to. */
function scriptedModel(summary = SUMMARY) {
  const requests: ModelRequest[] = []
  const model: Model = {
    provider: 'openai',
    name: 'scripted',
    async *stream(request): AsyncGenerator<ModelChunk> {
      requests.push(request)
      const usage = { promptTokens: 10, completionTokens: 5 }
      if (request.system === SUMMARY_PROMPT) {
        yield { type: 'text', text: summary }
        yield { type: 'end', toolCalls: [], finishReason: 'stop', usage }
        return
      }
      const round = requests.filter(({ system }) => system !== SUMMARY_PROMPT).length
      if (round > ROUNDS) {
        yield { type: 'text', text: 'done' }
        yield { type: 'end', toolCalls: [], finishReason: 'stop', usage }
        return
      }
      yield { type: 'text', text: FILLER }
      const toolCalls = [{ callId: `c${round}`, name: 'nothing', input: {} }]
      yield { type: 'end', toolCalls, finishReason: 'tool_calls', usage }
    },
  }
  return { model, requests, summaries: () => requests.filter(({ system }) => system === SUMMARY_PROMPT).length }
}

const loopOf = (model: Model, memory?: Pick<AgentMemory, 'search'>) =>
  new LlmLoop({
    selectModel: () => model,
    costOf: () => 0.5,
    tools: new Toolbox([]),
    window: new Window({ maxTokens: MAX_TOKENS, compactionEnabled: true, threshold: 0.8 }),
    ...(memory && { memory }),
  })

test('M-05, M-10: a long task is summed up on its way, keeps its task, and is done', async () => {
  const { model, requests, summaries } = scriptedModel()
  const { turn, entries } = await recordedTurn({ task: 'the task itself' })

  expect(await loopOf(model).run(turn)).toEqual({ output: 'done' })
  const compactions = entries.flatMap((entry) => (entry.type === 'compacted' ? [entry.compaction] : []))
  expect(compactions.length).toBeGreaterThan(0)
  expect(summaries()).toBe(compactions.length)
  expect(compactions[0]).toMatchObject({
    ...{ summary: 'so far so good', cost: 0.5, model: 'scripted' },
    facts: [{ content: 'The user likes blue', key: 'colour', sources: [0] }],
  })
  for (const { tokensBefore, tokensAfter } of compactions) expect(tokensAfter).toBeLessThan(tokensBefore / 2)
  const last = requests.at(-1)?.messages ?? []
  expect(last[0]?.text).toContain('so far so good')
  expect(last[1]?.text).toContain('the task itself')
  expect(Buffer.byteLength(JSON.stringify(last)) / 3).toBeLessThan(MAX_TOKENS)
})

test('a crash at any entry is continued to the same end, with at most one more summary', {
  timeout: 60_000,
}, async () => {
  const whole = await recordedTurn({ task: 'the task' })
  await loopOf(scriptedModel().model).run(whole.turn)
  const positions = whole.entries.flatMap((entry, at) => (entry.type === 'text' ? [] : [at]))

  for (const position of positions) {
    const script = scriptedModel()
    let seen = 0
    const crashing = await recordedTurn({
      task: 'the task',
      onEntry: () => {
        if (seen++ === position) throw new CrashedHere()
      },
    })
    await expect(loopOf(script.model).run(crashing.turn)).rejects.toThrow(CrashedHere)
    const next = await recordedTurn({ task: 'the task', entries: crashing.entries })
    expect(await loopOf(script.model).run(next.turn)).toEqual({ output: 'done' })
    const recorded = next.entries.filter(({ type }) => type === 'compacted').length
    expect(script.summaries() - recorded).toBeLessThanOrEqual(1)
  }
})

test('a crash between the summary and its record repeats that one call', async () => {
  const script = scriptedModel()
  const first = await recordedTurn({ task: 'the task' })
  const journal = { ...first.turn.journal, compacted: () => Promise.reject(new CrashedHere()) }
  await expect(loopOf(script.model).run({ ...first.turn, journal })).rejects.toThrow(CrashedHere)
  const next = await recordedTurn({ task: 'the task', entries: first.entries })
  await loopOf(script.model).run(next.turn)

  expect(script.requests.length - script.summaries()).toBe(ROUNDS + 1)
  expect(script.summaries()).toBe(next.entries.filter(({ type }) => type === 'compacted').length + 1)
})

test('without a summary the conversation is cut, and goes on', async () => {
  const { model, requests } = scriptedModel('')
  const { turn, entries } = await recordedTurn({ task: 'the task itself' })

  expect(await loopOf(model).run(turn)).toEqual({ output: 'done' })
  expect(typesOf(entries)).not.toContain('compacted')
  expect(requests.at(-1)?.messages.some(({ text }) => text.includes('the task itself'))).toBe(true)
})

test('M-02: what is remembered stands in the message of the task, once, for every owner', async () => {
  const { model, requests } = scriptedModel()
  let searches = 0
  const found = { tier: 'semantic', namespace: 'default', key: undefined, tags: [], score: 1, sessionId: 's' } as const
  const memory = {
    search: async () => {
      searches++
      return [{ ...found, id: 'mem_1', content: 'The user likes blue', validFrom: '2026-11-01T00:00:00.000Z' }]
    },
  }
  const { turn, entries } = await recordedTurn({ task: 'choose a colour' })
  await loopOf(model, memory).run(turn)
  const begun = entries.slice(0, 2)
  const next = await recordedTurn({ task: 'choose a colour', entries: begun as Entry[] })
  await loopOf(model, memory).run(next.turn)

  expect(begun.map(({ type }) => type)).toEqual(['recalled', 'messageStarted'])
  expect(searches).toBe(1)
  for (const { messages, system } of requests.filter((request) => request.system !== SUMMARY_PROMPT)) {
    expect(system).not.toContain('likes blue')
    const task = messages.find(({ text }) => text.includes('choose a colour'))
    expect(task?.text.split('The user likes blue')).toHaveLength(2)
  }
})

test('a memory that fails or is silent keeps nobody waiting', async () => {
  for (const search of [() => Promise.reject(new Error('away')), () => new Promise<never>(() => undefined)]) {
    const { model } = scriptedModel()
    const { turn, entries } = await recordedTurn({ task: 'x' })

    expect(await loopOf(model, { search }).run(turn)).toEqual({ output: 'done' })
    expect(typesOf(entries)).not.toContain('recalled')
  }
})

test.each([
  ['no form at all', 'just text', 'just text', 0],
  ['a form that breaks off', '<summary>begun', 'begun', 0],
  ['facts that are no JSON', '<summary>s</summary><facts>[{oops}]</facts>', 's', 0],
  ['facts in another shape', '<summary>s</summary><facts>[{"fact": 7}]</facts>', 's', 0],
  ['facts in a fence', '<summary>s</summary><facts>```json\n[{"fact": "f"}]\n```</facts>', 's', 1],
])('an answer with %s still gives a summary', (_what, answer, summary, facts) => {
  const found = foundFacts(answer)

  expect(found.summary).toBe(summary)
  expect(found.facts).toHaveLength(facts)
})

test('a transcript of any length is as long as it may be', () => {
  const messages = Array.from({ length: 100 }, (_, n) => ({ role: 'user' as const, text: `message ${n} ${FILLER}` }))

  expect(transcriptOf(messages, 1_000).length).toBeLessThan(1_100)
  expect(transcriptOf(messages, 1_000)).toContain('[1] USER: message 0')
})
