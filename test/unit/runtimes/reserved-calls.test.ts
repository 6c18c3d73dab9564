import { afterAll, beforeAll, expect, test } from 'vitest'
import { numberedWords, type ScriptedModel, startScriptedModel } from '../../../scripts/demo/scripted-model.js'
import { costOf } from '../../../src/budget/prices.js'
import type { Model, ModelRequest, Usage } from '../../../src/models/model.js'
import { OpenAiModel } from '../../../src/models/openai.js'
import { ServiceError } from '../../../src/protocol/errors.js'
import { LlmLoop } from '../../../src/runtimes/llm-loop.js'
import type { PlannedCall, Turn } from '../../../src/runtimes/runtime.js'
import { standardTools } from '../../../src/runtimes/tools/toolbox.js'
import { recordedTurn } from './recorded-turn.js'

const FAST = { attempts: 2, baseMs: 1, capMs: 5, totalMs: 5_000 }
const NOTHING_LEFT = new ServiceError('budget_exceeded', { used: 9, limit: 9 })

let server: ScriptedModel
beforeAll(async () => {
  server = await startScriptedModel()
})
afterAll(() => server.stop())

const scripted = () => new OpenAiModel({ model: 'gpt-4o-mini', baseUrl: server.openaiUrl, retry: FAST })
const loopOf = (model: Model) =>
  new LlmLoop({ selectModel: () => model, costOf, tools: standardTools(), backoff: FAST })

/** Grants `calls` calls, and notes what is asked and used. */
function ledger(calls: number, mostTokens = 1_000_000) {
  const asked: PlannedCall[] = []
  const settled: { readonly usage: Usage; readonly tools: readonly string[] }[] = []
  const reserve: Turn['reserve'] = async (call) => {
    if (asked.length === calls) throw NOTHING_LEFT
    asked.push(call)
    return {
      maxTokens: Math.min(call.maxTokens, mostTokens),
      settle: async (usage, tools = []) => {
        settled.push({ usage, tools })
      },
    }
  }
  return { asked, settled, reserve }
}

test('each model call is reserved and then settled with what the vendor counted', async () => {
  const { asked, settled, reserve } = ledger(10)
  const { turn } = await recordedTurn({ task: 'Write a report on "export"', reserve })

  await loopOf(scripted()).run(turn)

  expect(asked).toHaveLength(4)
  expect(settled).toHaveLength(4)
  expect(asked.every(({ model, promptTokens }) => model === 'gpt-4o-mini' && promptTokens > 100)).toBe(true)
  expect(settled.every(({ usage }) => usage.promptTokens > 0 && usage.completionTokens > 0)).toBe(true)
  expect(settled.map(({ tools }) => tools.length)).toEqual([1, 1, 1, 0])
})

test('a task without a budget fails before a message is begun', async () => {
  const { reserve } = ledger(0)
  const { turn, entries } = await recordedTurn({ task: 'Count to 60', reserve })

  await expect(loopOf(scripted()).run(turn)).rejects.toBe(NOTHING_LEFT)

  expect(entries).toEqual([])
})

test('a cut answer is counted as far as it came, and its continuation is reserved anew', async () => {
  const { asked, settled, reserve } = ledger(10)
  server.cutNext(1, 9)
  const { turn } = await recordedTurn({ task: 'Count to 60', reserve })

  const { output } = await loopOf(scripted()).run(turn)

  expect(output).toBe(numberedWords(60))
  expect(asked).toHaveLength(2)
  expect(asked[1]?.promptTokens).toBeGreaterThan(asked[0]?.promptTokens ?? 0)
  expect(settled[0]?.usage.promptTokens).toBe(asked[0]?.promptTokens)
  expect(settled[0]?.usage.completionTokens).toBeGreaterThan(0)
})

test('a call that the vendor refuses has used nothing', async () => {
  const { settled, reserve } = ledger(10)
  const refused = new OpenAiModel({ model: 'gpt-4o-mini', baseUrl: 'http://127.0.0.1:9/v1', retry: FAST })
  const { turn } = await recordedTurn({ task: 'Count to 60', reserve })

  await expect(loopOf(refused).run(turn)).rejects.toMatchObject({ code: 'model_network' })

  expect(settled).toEqual([{ usage: { promptTokens: 0, completionTokens: 0 }, tools: [] }])
})

test('the answer is asked to be no longer than what was granted', async () => {
  const requests: ModelRequest[] = []
  const model = scripted()
  const watched: Model = {
    provider: model.provider,
    name: model.name,
    stream: (request) => {
      requests.push(request)
      return model.stream(request)
    },
  }
  const { turn } = await recordedTurn({ task: 'Count to 60', reserve: ledger(10, 77).reserve })

  await loopOf(watched).run(turn)

  expect(requests.map(({ maxTokens }) => maxTokens)).toEqual([77])
})
