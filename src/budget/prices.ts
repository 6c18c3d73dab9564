/**
 * What tokens cost: one table in US dollars per million tokens. A file may stand in its place (TOKEN_PRICES_FILE). It holds
 * list prices as of 2026-11-22; discounts for batches are left out.
 */
import type { Usage } from '../models/model.js'

export interface Price {
  readonly input: number
  readonly output: number
  /** For tokens of the prompt that the vendor has in its cache; as `input` when left out. */
  readonly cached?: number
  /** For tokens of the prompt that it puts there; as `input` when left out. */
  readonly cacheWrite?: number
}

/** By model family: dated names (`gpt-4o-mini-2024-07-18`) are found by their longest family name. */
export type Prices = ReadonlyMap<string, Price>

export interface PriceList {
  /** US dollars for `usage` of `model`; 0 for a model that is not in the table. */
  costOf(model: string, usage: Usage): number
  /** Whether a cost of 0 for this model would mean "unknown". */
  isPriced(model: string): boolean
}

const TOKENS_PER_PRICE = 1_000_000

/** Input, output and, where it is another, cached input. */
type Row = readonly [input: number, output: number, cached?: number]

const openai = {
  'gpt-5.5': [5, 30, 0.5],
  'gpt-5.4': [2.5, 15, 0.25],
  'gpt-5.4-mini': [0.75, 4.5, 0.075],
  'gpt-5.4-nano': [0.2, 1.25, 0.02],
  'gpt-5.2': [1.75, 14, 0.175],
  'gpt-5.1': [1.25, 10, 0.125],
  'gpt-5': [1.25, 10, 0.125],
  'gpt-5-mini': [0.25, 2, 0.025],
  'gpt-5-nano': [0.05, 0.4, 0.005],
  'gpt-4.1': [2, 8, 0.5],
  'gpt-4.1-mini': [0.4, 1.6, 0.1],
  'gpt-4.1-nano': [0.1, 0.4, 0.025],
  'gpt-4o': [2.5, 10, 1.25],
  'gpt-4o-mini': [0.15, 0.6, 0.075],
  'gpt-4-turbo': [10, 30],
  'gpt-4': [30, 60],
  'gpt-3.5-turbo': [0.5, 1.5],
  o3: [2, 8, 0.5],
  'o3-mini': [1.1, 4.4, 0.55],
  'o4-mini': [1.1, 4.4, 0.275],
} satisfies Record<string, Row>

/** Anthropic reads its cache at a tenth of the price of input, and writes it at a quarter more. */
const anthropic = {
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
} satisfies Record<string, Row>

const others = {
  'gemini-pro': [0.5, 1.5],
  'gemini-ultra': [10, 30],
} satisfies Record<string, Row>

const CACHE_READ = 0.1
const CACHE_WRITE = 1.25

const PRICES: Prices = new Map<string, Price>([
  ...Object.entries<Row>({ ...openai, ...others }).map(
    ([model, [input, output, cached = input]]) => [model, { input, output, cached }] as const,
  ),
  ...Object.entries<Row>(anthropic).map(
    ([model, [input, output]]) =>
      [model, { input, output, cached: input * CACHE_READ, cacheWrite: input * CACHE_WRITE }] as const,
  ),
])

export function priceList(prices: Prices = PRICES): PriceList {
  return {
    costOf: (model, usage) => {
      const price = priceOf(prices, model)
      return price === undefined ? 0 : cost(price, usage)
    },
    isPriced: (model) => priceOf(prices, model) !== undefined,
  }
}

const builtIn = priceList()

/** By the table of this file. */
export const costOf: PriceList['costOf'] = (model, usage) => builtIn.costOf(model, usage)
export const isPriced: PriceList['isPriced'] = (model) => builtIn.isPriced(model)

function cost({ input, output, cached = input, cacheWrite = input }: Price, usage: Usage): number {
  const { promptTokens, completionTokens, cachedTokens = 0, cacheWriteTokens = 0 } = usage
  const plain = Math.max(0, promptTokens - cachedTokens - cacheWriteTokens)
  const prompt = plain * input + cachedTokens * cached + cacheWriteTokens * cacheWrite
  return (prompt + completionTokens * output) / TOKENS_PER_PRICE
}

function priceOf(prices: Prices, model: string): Price | undefined {
  // Routers name the vendor first (`openai/gpt-4o`); the rest is the name, a date, or an alias such as `-latest`.
  let family = model.slice(model.lastIndexOf('/') + 1).toLowerCase()
  family = family.replace(/[-@](\d{8}|\d{4}-\d{2}-\d{2})$/, '')
  for (;;) {
    const price = prices.get(family)
    if (price !== undefined) return price
    // Whole words fall away, so `gpt-4` never prices `gpt-45`; a version does not: its price is its own.
    const shorter = family.replace(/[-@:](?!\d{1,2}$)[^-@:]*$/, '')
    if (shorter === family) return undefined
    family = shorter
  }
}
