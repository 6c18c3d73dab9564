/**
 * The list of what works for clients of the reference: complete, consistent, and the page that people read is up to date.
 */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { type CompatibilityRow, mistakesIn, PAGE, readFile, readRows, renderPage } from '../../scripts/compatibility.js'
import { contractIds } from '../../scripts/contract-rows.js'

test('the contract has its sections, and every metric of the reference', () => {
  const ids = contractIds()

  expect(new Set(ids).size).toBe(ids.length)
  expect(ids.filter((id) => /^(orchestrator|wundr)_/.test(id))).toHaveLength(58)
  expect(new Set(ids.flatMap((id) => /^[A-Z](?=-)/.exec(id) ?? []))).toEqual(new Set('WASHCXMBGDNP'))
})

test('every row of the contract is there, none claims more than it shows, and each has a test that is named after it', () => {
  expect(mistakesIn(readRows(), readFile)).toEqual([])
})

test('the page says what the rows say; if not: npx tsx scripts/compatibility.ts', () => {
  expect(readFileSync(PAGE, 'utf8')).toBe(renderPage(readRows()))
})

const THIS_FILE = 'test/unit/compatibility.test.ts'
/** Not written out: it would be named then. */
const UNNAMED = ['W', '00'].join('-')
const row: CompatibilityRow = {
  id: 'W-01',
  area: 'Connection',
  promise: 'It is so.',
  state: 'works',
  tests: [THIS_FILE],
}

test.each([
  ['a title', "test('W-01: it is so', () => {", true],
  ['a comment', '  // W-01, W-02', true],
  ['another id', "test('W-011, XW-01 and W-01-2', () => {", false],
  ['the header of the file', '/** Row W-01. */', false],
  ['a list', '// W-01 W-02 W-03 W-04 W-05 W-06 W-07', false],
])('a row that stands in %s: %s', (_where, text, isNamed) => {
  const mistakes = mistakesIn([row], () => text, ['W-01'])

  expect(mistakes).toEqual(isNamed ? [] : ['W-01 is named by none of its tests'])
})

test('a row of the contract that is missing is found, and one that the contract has not', () => {
  expect(mistakesIn([row], readFile, ['W-01', 'W-02'])).toEqual(['W-02 of the contract is missing'])
  expect(mistakesIn([row], readFile, [])).toEqual(['W-01 is no row of the contract'])
})

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
  ['a row that its tests do not name', [{ ...row, id: UNNAMED }], `${UNNAMED} is named by none of its tests`],
  ['a file that is no test', [{ ...row, tests: ['package.json'] }], 'W-01 names package.json, which is no test file'],
])('%s is found', (_mistake, rows, sentence) => {
  expect(
    mistakesIn(
      rows,
      readFile,
      rows.map(({ id }) => id),
    ),
  ).toEqual([sentence])
})

test('a row and its notes survive the table', () => {
  const page = renderPage([{ ...row, note: 'Either a|b or `c_*`.' }])

  expect(page).toContain('| Connection | 1 | 0 | 0 |')
  expect(page).toContain(`It is so. *Either a\\|b or \`c_*\`.* | [compatibility](../${THIS_FILE}) |`)
})
