import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { priceList } from '../../../src/budget/prices.js'
import { readPriceFile } from '../../../src/config/price-file.js'

const folder = mkdtempSync(join(tmpdir(), 'prices-'))
function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

test('a file takes the place of the built-in table, in YAML and in JSON', () => {
  const yaml = 'asOf: 2026-11-01\nmodels:\n  My-Model: { input: 4, output: 8, cached: 1 }\n'
  const json = '{"asOf":"2026-11-01","models":{"my-model":{"input":4,"output":8,"cached":1}}}'
  for (const path of [file('p.yaml', yaml), file('p.json', json)]) {
    const prices = priceList(readPriceFile(path).models)
    const usage = { promptTokens: 1_000_000, completionTokens: 500_000, cachedTokens: 400_000 }
    expect(prices.costOf('my-model-2026-01-01', usage)).toBeCloseTo(0.6 * 4 + 0.4 * 1 + 0.5 * 8)
    expect(prices.isPriced('gpt-5')).toBe(false)
  }
})

test.each([
  ['a price below zero', 'asOf: 2026-11-01\nmodels:\n  m:\n    input: -4\n    output: 8\n', 4, 'models.m.input'],
  [
    'a price that is missing',
    'asOf: 2026-11-01\nmodels:\n  a: { input: 1, output: 1 }\n  m: { input: 4 }\n',
    4,
    'models.m.output',
  ],
  ['a name that is none', 'asOf: 2026-11-01\nmodels:\n  m: { input: 4, output: 8, cache: 1 }\n', 3, 'cache'],
  ['no date', 'asOf: soon\nmodels: {}\n', 1, 'asOf'],
  ['what is no YAML', 'asOf: 2026-11-01\nmodels: {\n', 3, ''],
])('%s is named with its file, line and field', (_what, text, line, field) => {
  const path = file('wrong.yaml', text)
  const message = (() => {
    try {
      readPriceFile(path)
      return ''
    } catch (error) {
      return String(error)
    }
  })()
  expect(message).toContain(`${path}, line ${line}: `)
  expect(message).toContain(field)
})

test('a file that is not there is named', () => {
  expect(() => readPriceFile(join(folder, 'none.yaml'))).toThrow(
    /TOKEN_PRICES_FILE .*none.yaml could not be read: it is not there/,
  )
})
