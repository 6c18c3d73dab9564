/**
 * Tables, durations and lines of the command line.
 */
import { expect, test } from 'vitest'
import { duration, fields, NO_COLOURS, shortened, table } from '../../src/cli/output.js'
import { listOf } from '../../src/cli/sessions.js'
import type { Session } from '../../src/protocol/session.js'

test('columns of a table begin below each other, and no line ends with spaces', () => {
  expect(
    table([
      ['ID', 'STATUS'],
      ['a-long-id', 'ok'],
      ['b', ''],
    ]),
  ).toEqual(['ID         STATUS', 'a-long-id  ok', 'b'])
})

test('names of fields are as wide as the longest one', () => {
  expect(fields({ cpu: '3 %', memory: '80 MB' }, NO_COLOURS)).toEqual(['cpu     3 %', 'memory  80 MB'])
})

test.each([
  [-5, '0 ms'],
  [0.4, '0 ms'],
  [999, '999 ms'],
  [1_000, '1.0 s'],
  [59_940, '59.9 s'],
  [60_000, '1 min'],
  [3_600_000, '1 h'],
  [172_800_000, '2 d'],
])('%d ms are written as %s', (ms, text) => {
  expect(duration(ms)).toBe(text)
})

test('a long text is cut to one line of the given length', () => {
  expect(shortened('  one\n\ttwo  three ', 9)).toBe('one two …')
})

test('sessions are listed with their age and the start of their task', () => {
  const session = {
    id: 'session_1',
    type: 'llm',
    status: 'active',
    startedAt: '2026-01-01T00:00:00.000Z',
    task: { description: 'write\nit down' },
  } as Session

  expect(listOf([session], new Date('2026-01-01T00:05:00.000Z'), { colours: NO_COLOURS })).toEqual([
    'ID         TYPE  STATUS  AGE    TASK',
    'session_1  llm   active  5 min  write it down',
  ])
})

test('a list of none says so', () => {
  expect(listOf([], new Date(), { colours: NO_COLOURS })).toEqual(['no sessions'])
})
