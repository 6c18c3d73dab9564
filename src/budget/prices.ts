/**
 * What tokens cost: one table, dated, in US dollars per million tokens.
 */
import type { Usage } from '../models/model.js'

/** The table holds list prices known at this date; discounts for cached or batched tokens are left out. */
export const PRICES_AS_OF = '2026-11-22'

interface Price {
  readonly input: number
  readonly output: number
}

const TOKENS_PER_PRICE = 1_000_000

/** By model family: dated names (`gpt-4o-mini-2024-07-18`) are found by their longest family name. */
const PRICES: ReadonlyMap<string, Price> = new Map(
  Object.entries({
    'gpt-5.5': [5, 30],
    'gpt-5.4': [2.5, 15],
    'gpt-5.4-mini': [0.75, 4.5],
    'gpt-5.4-nano': [0.2, 1.25],
    'gpt-5.2': [1.75, 14],
    'gpt-5.1': [1.25, 10],
    'gpt-5': [1.25, 10],
    'gpt-5-mini': [0.25, 2],
    'gpt-5-nano': [0.05, 0.4],
    'gpt-4.1': [2, 8],
    'gpt-4.1-mini': [0.4, 1.6],
    'gpt-4.1-nano': [0.1, 0.4],
    'gpt-4o': [2.5, 10],
    'gpt-4o-mini': [0.15, 0.6],
    'gpt-4-turbo': [10, 30],
    'gpt-4': [30, 60],
    'gpt-3.5-turbo': [0.5, 1.5],
    o3: [2, 8],
    'o3-mini': [1.1, 4.4],
    'o4-mini': [1.1, 4.4],
    'claude-fable-5-1': [10, 50],
    'claude-opus-5-5': [4, 20],
    'claude-opus-5': [5, 25],
    'claude-opus-4-8': [5, 25],
    'claude-opus-4-7': [5, 25],
    'claude-opus-4-6': [5, 25],
    'claude-opus-4-5': [5, 25],
    'claude-opus-4-1': [15, 75],
    'claude-opus-4': [15, 75],
    'claude-sonnet-5-5': [2, 10],
    'claude-sonnet-5': [2, 10],
    'claude-sonnet-4-6': [3, 15],
    'claude-sonnet-4-5': [3, 15],
    'claude-sonnet-4': [3, 15],
    'claude-haiku-4-5': [1, 5],
    'claude-3-7-sonnet': [3, 15],
    'claude-3-5-sonnet': [3, 15],
    'claude-3-5-haiku': [0.8, 4],
    'claude-3-opus': [15, 75],
    'claude-3-sonnet': [3, 15],
    'claude-3-haiku': [0.25, 1.25],
    'gemini-pro': [0.5, 1.5],
    'gemini-ultra': [10, 30],
  } satisfies Record<string, [number, number]>).map(([model, [input, output]]) => [model, { input, output }]),
)

/** US dollars for `usage` of `model`; 0 for a model that is not in the table. */
export function costOf(model: string, usage: Usage): number {
  const price = priceOf(model)
  if (price === undefined) return 0
  return (usage.promptTokens * price.input + usage.completionTokens * price.output) / TOKENS_PER_PRICE
}

/** Whether a cost of 0 for this model would mean "unknown". */
export const isPriced = (model: string): boolean => priceOf(model) !== undefined

function priceOf(model: string): Price | undefined {
  // Routers name the vendor first (`openai/gpt-4o`); the rest is the name, a date, or an alias such as `-latest`.
  let family = model.slice(model.lastIndexOf('/') + 1).toLowerCase()
  family = family.replace(/[-@](\d{8}|\d{4}-\d{2}-\d{2})$/, '')
  for (;;) {
    const price = PRICES.get(family)
    if (price !== undefined) return price
    // Whole words fall away, so `gpt-4` never prices `gpt-45`; a version does not: its price is its own.
    const shorter = family.replace(/[-@:](?!\d{1,2}$)[^-@:]*$/, '')
    if (shorter === family) return undefined
    family = shorter
  }
}
