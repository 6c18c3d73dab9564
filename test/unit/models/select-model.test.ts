import { expect, test } from 'vitest'
import { selectModel } from '../../../src/models/select.js'

const names = { openaiModel: 'gpt-x', anthropicModel: 'claude-x' }

test.each([
  [{ openaiApiKey: 'k' }, 'openai', 'gpt-x'],
  [{ openaiBaseUrl: 'http://127.0.0.1:1/v1' }, 'openai', 'gpt-x'],
  [{ openaiApiKey: 'k', anthropicApiKey: 'k' }, 'openai', 'gpt-x'],
  [{ openaiApiKey: '', anthropicApiKey: 'k' }, 'anthropic', 'claude-x'],
  [{ anthropicBaseUrl: 'http://127.0.0.1:1' }, 'anthropic', 'claude-x'],
])('with %j the vendor is %s', async (given, provider, name) => {
  expect(await selectModel({ ...names, ...given })).toMatchObject({ provider, name })
})

test('without any key the user is told the sentence that the documentation promises', async () => {
  await expect(selectModel(names)).rejects.toThrow('OpenAI API key is required')
})
