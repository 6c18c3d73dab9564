/**
 * What tokens cost, by model.
 */
import { expect, test } from 'vitest'
import { costOf, isPriced } from '../../../src/budget/prices.js'

const MILLION = { promptTokens: 1_000_000, completionTokens: 1_000_000 }

test.each([
  ['gpt-4o-mini', 0.75],
  ['gpt-4o-mini-2024-07-18', 0.75],
  ['gpt-4o-2024-11-20', 12.5],
  ['openai/gpt-4o', 12.5],
  ['gpt-4-0613', 90],
  ['gpt-4-turbo-preview', 40],
  ['gpt-5.4-mini-2026-03-17', 5.25],
  ['claude-sonnet-4-5-20250929', 18],
  ['claude-sonnet-4-20250514', 18],
  ['claude-opus-4-5@20251101', 30],
  ['claude-3-haiku-20240307', 1.5],
  ['claude-3-sonnet-20240229', 18],
  ['claude-3-opus-20240229', 90],
  ['gpt-3.5-turbo', 2],
  ['gemini-pro', 2],
  ['claude-3-5-haiku-latest', 4.8],
  ['gemini-ultra', 40],
])('B-10: a million tokens each way of %s cost $%d', (model, dollars) => {
  expect(costOf(model, MILLION)).toBeCloseTo(dollars, 6)
  expect(isPriced(model)).toBe(true)
})

test.each(['llama3', 'gpt-45', 'gpt-4.5', 'claude-opus-4-99', 'claude', ''])(
  '%j is not in the table and costs 0',
  (model) => {
    expect(costOf(model, MILLION)).toBe(0)
    expect(isPriced(model)).toBe(false)
  },
)

test('a cost is proportional to the tokens', () => {
  expect(costOf('gpt-4o-mini', { promptTokens: 2000, completionTokens: 500 })).toBeCloseTo(0.0006, 9)
})
