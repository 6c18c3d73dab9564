/**
 * The fake vendor follows the script in the task, whoever asks and however often.
 */
import { expect, onTestFinished, test } from 'vitest'
import { EffectServer } from '../../../src/chaos/effect-server.js'
import { FakeProvider } from '../../../src/chaos/fake-provider.js'
import type { ModelLine } from '../../../src/chaos/journal.js'
import { seededRandom } from '../../../src/chaos/seeded-random.js'
import { answerText, scriptText, type ToolScript } from '../../../src/chaos/tool-script.js'
import type { ModelMessage } from '../../../src/models/model.js'
import { OpenAiModel } from '../../../src/models/openai.js'

const SCRIPT: ToolScript = { command: 'k1', steps: ['once'], words: 30 }
const task: ModelMessage = { role: 'user', text: `Task: ${scriptText(SCRIPT)}\n\nType: general` }

async function vendor() {
  const lines: ModelLine[] = []
  const effects = await EffectServer.start(() => {}, seededRandom(1))
  const append = (line: ModelLine): void => void lines.push(line)
  const provider = await FakeProvider.start({ effects, random: seededRandom(1), append, nodeOf: (token) => token })
  onTestFinished(async () => {
    await provider.stop()
    await effects.stop()
  })
  const model = new OpenAiModel({ model: 'chaos', baseUrl: provider.url('worker-1') })
  const ask = async (messages: readonly ModelMessage[]) => {
    let text = ''
    const { signal } = new AbortController()
    for await (const chunk of model.stream({
      system: '',
      messages,
      tools: [],
      maxTokens: 100,
      signal,
      beforeAttempt: () => {},
    })) {
      if (chunk.type === 'text') text += chunk.text
      else return { text, calls: chunk.toolCalls }
    }
    throw new Error('no end')
  }
  return { provider, ask, lines }
}

test('it calls the tools of the script, then answers, and writes down each call', async () => {
  const { ask, lines } = await vendor()

  const first = await ask([task])
  const [call] = first.calls
  if (!call) throw new Error('no call')
  const done: ModelMessage[] = [
    { role: 'assistant', text: first.text, toolCalls: [call] },
    { role: 'tool', callId: call.callId, text: 'done', isError: false },
  ]
  const second = await ask([task, ...done])

  expect(call).toMatchObject({ callId: 'k1.0', name: 'web_fetch', input: { method: 'POST' } })
  expect(second).toEqual({ text: answerText(SCRIPT), calls: [] })
  expect(lines).toMatchObject([
    { command: 'k1', step: 0, node: 'worker-1', outcome: 'complete' },
    { command: 'k1', step: 1, node: 'worker-1', outcome: 'complete' },
  ])
})

test('an answer that was cut is continued where its reader stands', async () => {
  const { ask } = await vendor()
  const plain: ModelMessage = { role: 'user', text: `Task: ${scriptText({ ...SCRIPT, steps: [] })}` }
  const shown = answerText(SCRIPT).slice(0, 50)

  const rest = await ask([plain, { role: 'assistant', text: shown }, { role: 'user', text: 'Go on.' }])

  expect(shown + rest.text).toBe(answerText(SCRIPT))
})

test('a cut stream ends without a word, once', async () => {
  const { provider, ask, lines } = await vendor()
  provider.cutNext(1)

  await expect(ask([task])).rejects.toThrow()

  expect(lines).toMatchObject([{ outcome: 'cut' }])
})
