/**
 * A task whose model cannot be had ends with a code that says why, and the session takes the next one.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { numberedWords, type ScriptedModel, startScriptedModel } from '../../scripts/demo/scripted-model.js'
import { costOf } from '../../src/budget/prices.js'
import { DEFAULT_RETRY } from '../../src/models/retry.js'
import { type ModelSettings, selectModel } from '../../src/models/select.js'
import { LlmLoop } from '../../src/runtimes/llm-loop.js'
import { standardTools } from '../../src/runtimes/tools/toolbox.js'
import { freePort } from '../support/free-port.js'
import { WorkerCluster } from '../support/worker-cluster.js'

/** Sent at most for one call. */
const REQUESTS = DEFAULT_RETRY.attempts
let server: ScriptedModel
beforeAll(async () => {
  server = await startScriptedModel()
})
afterAll(() => server.stop())

interface Vendor {
  readonly name: string
  readonly good: () => Partial<ModelSettings>
  readonly dead: () => Promise<Partial<ModelSettings>>
  readonly unknownModel: { readonly message: string; readonly type: string; readonly code?: string }
}

const VENDORS: readonly Vendor[] = [
  {
    name: 'openai',
    good: () => ({ openaiApiKey: 'k', openaiBaseUrl: server.openaiUrl }),
    dead: async () => ({ openaiApiKey: 'k', openaiBaseUrl: `http://127.0.0.1:${await freePort()}/v1` }),
    unknownModel: { message: 'no such model', type: 'invalid_request_error', code: 'model_not_found' },
  },
  {
    name: 'anthropic',
    good: () => ({ anthropicApiKey: 'k', anthropicBaseUrl: server.anthropicUrl }),
    dead: async () => ({ anthropicApiKey: 'k', anthropicBaseUrl: `http://127.0.0.1:${await freePort()}` }),
    unknownModel: { message: 'model: no-such-model', type: 'not_found_error' },
  },
]

/** A worker whose settings of models can be changed between tasks. */
async function workerWith(first: Partial<ModelSettings>) {
  const settings = { now: first }
  const names = { openaiModel: 'gpt-x', anthropicModel: 'claude-x' }
  const select = (wanted?: string) => selectModel({ ...names, ...settings.now, wanted })
  const runtime = new LlmLoop({ selectModel: select, costOf, tools: standardTools() })
  const cluster = await WorkerCluster.start({ runtimeOf: () => runtime })
  await cluster.takeOver('worker-1')
  return { cluster, settings }
}

describe.each(VENDORS)('with $name', ({ good, dead, unknownModel }) => {
  test.each<[string, (vendor: Partial<ModelSettings>) => Promise<Partial<ModelSettings>>, string, RegExp]>([
    ['no key is set', async () => ({}), 'openai_key_missing', /^OpenAI API key is required$/],
    ['nobody answers', async () => await dead(), 'model_network', /^Network Error: /],
    [
      'the key is refused',
      async (vendor) => {
        server.failNext(1, 401, { message: 'no', type: 'authentication_error' })
        return vendor
      },
      'model_auth',
      /^(OpenAI|Anthropic) Authentication Error: /,
    ],
    [
      'the vendor wants it slower for too long',
      async (vendor) => {
        server.failNext(REQUESTS, 429, { message: 'slow down', type: 'rate_limit_error' })
        return vendor
      },
      'model_rate_limit',
      /^Rate Limit Error: .*slow down/,
    ],
    [
      'nothing is left to pay with',
      async (vendor) => {
        server.failNext(1, 402, { message: 'pay first', type: 'billing_error' })
        return vendor
      },
      'model_quota',
      /^Quota Exceeded: .*pay first/,
    ],
    [
      'the model is unknown',
      async (vendor) => {
        server.failNext(1, 404, unknownModel)
        return vendor
      },
      'model_invalid_request',
      /^Invalid Request: .*no.such.model/,
    ],
  ])('W-68: a task fails in words when %s, and the session takes the next', async (_what, bad, code, text) => {
    const { cluster, settings } = await workerWith(await bad(good()))
    const session = await cluster.spawn('llm', { description: 'Count to 7' }, { model: 'no-such-model' })
    const failed = await session.event('task_failed')
    settings.now = good()

    await session.execute({ description: 'Count to 7' })
    const done = await session.event('task_completed')

    expect(failed).toMatchObject({ code, error: expect.stringMatching(text) })
    expect(done.result.output).toBe(numberedWords(7))
    expect(session.events.some(({ type }) => type === 'session_status_update')).toBe(false)
  })
})
