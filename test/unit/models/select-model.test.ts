/**
 * Which vendor and model answer, by the keys that are set and the name that is asked for.
 */
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

test.each([
  [{ openaiApiKey: 'k' }, 'claude-y', 'openai'],
  [{ openaiApiKey: 'k', anthropicApiKey: 'k' }, 'claude-y', 'anthropic'],
  [{ openaiApiKey: 'k', anthropicApiKey: 'k' }, 'gpt-y', 'openai'],
  [{ anthropicApiKey: 'k' }, 'gpt-y', 'anthropic'],
])('with %j a session that names %s is answered by %s', async (given, wanted, provider) => {
  expect(await selectModel({ ...names, ...given, wanted })).toMatchObject({ provider, name: wanted })
})

test('W-66: without any key the user is told the sentence that the documentation promises', async () => {
  await expect(selectModel(names)).rejects.toThrow('OpenAI API key is required')
})
