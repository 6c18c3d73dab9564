/**
 * The list of what works for clients of the reference: complete, consistent, and the page that people read is up to date.
 */
import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { type CompatibilityRow, mistakesIn, PAGE, readRows, renderPage } from '../../scripts/compatibility.js'

const exists = (path: string): boolean => existsSync(new URL(`../../${path}`, import.meta.url))

/** First and last number of each run of rows in the contract. */
const CONTRACT: readonly (readonly [series: string, first: number, last: number])[] = [
  ['W', 1, 7],
  ['W', 10, 20],
  ['W', 30, 45],
  ['W', 50, 52],
  ['W', 60, 68],
  ['A', 1, 10],
  ['S', 1, 3],
  ['H', 1, 10],
  ['C', 1, 9],
  ['C', 20, 27],
  ['X', 1, 13],
  ['M', 1, 10],
  ['B', 1, 11],
  ['G', 1, 9],
  ['D', 1, 18],
  ['N', 1, 8],
  ['P', 1, 7],
]
const UNNUMBERED = ['V2', 'WUNDR', 'ENV', 'FILES', 'TOOLS', 'MET', 'WEB']

const idsOf = ([series, first, last]: (typeof CONTRACT)[number]): string[] =>
  Array.from({ length: last - first + 1 }, (_, index) => `${series}-${String(first + index).padStart(2, '0')}`)

test('every row of the contract has its state', () => {
  const ids = readRows().map(({ id }) => id)

  expect(ids.sort()).toEqual([...CONTRACT.flatMap(idsOf), ...UNNUMBERED].sort())
})

test('no row claims more than it shows', () => {
  expect(mistakesIn(readRows(), exists)).toEqual([])
})

test('the page says what the rows say; if not: npx tsx scripts/compatibility.ts', () => {
  expect(readFileSync(PAGE, 'utf8')).toBe(renderPage(readRows()))
})

const THIS_FILE = 'test/unit/compatibility.test.ts'
const row: CompatibilityRow = {
  id: 'W-01',
  area: 'Connection',
  promise: 'It is so.',
  state: 'works',
  tests: [THIS_FILE],
}

test.each<[string, readonly CompatibilityRow[], string]>([
  ['an id that is there twice', [row, row], 'W-01 is there twice'],
  ['a state of its own', [{ ...row, state: 'maybe' as 'works' }], 'W-01 has the unknown state maybe'],
  ['half a sentence', [{ ...row, promise: 'It' }], 'W-01 promises no full sentence'],
  ['works without a test', [{ ...row, tests: [] }], 'W-01 says "works" and names no test'],
  ['partly without a test', [{ ...row, state: 'partly', tests: [] }], 'W-01 says "partly" and names no test'],
  ['tests of what is not there', [{ ...row, state: 'not yet' }], 'W-01 says "not yet" and names tests'],
  [
    'a test that is gone',
    [{ ...row, tests: ['test/gone.test.ts'] }],
    'W-01 names test/gone.test.ts, which is no test file',
  ],
  ['a file that is no test', [{ ...row, tests: ['package.json'] }], 'W-01 names package.json, which is no test file'],
])('%s is found', (_mistake, rows, sentence) => {
  expect(mistakesIn(rows, exists)).toEqual([sentence])
})

test('a row and its notes survive the table', () => {
  const page = renderPage([{ ...row, note: 'Either a|b or `c_*`.' }])

  expect(page).toContain('| Connection | 1 | 0 | 0 |')
  expect(page).toContain(`It is so. *Either a\\|b or \`c_*\`.* | [compatibility](../${THIS_FILE}) |`)
})
