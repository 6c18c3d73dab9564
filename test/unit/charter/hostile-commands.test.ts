/**
 * The default charter against command lines: what nobody may run unasked is never allowed, however it is written, and what
 * is harmless is not held up.
 */
import { expect, test } from 'vitest'
import { CharterGate } from '../../../src/charter/gate.js'
import { charterSchema } from '../../../src/charter/schema.js'
import { seededRandom } from '../../support/random.js'
import { HARMLESS, HOSTILE } from './command-table.js'
import { REWRITES } from './rewrites.js'

const gate = new CharterGate({ charter: charterSchema.parse({}), foreign: ['/work/spaces', '/work/data'] })
const judge = (command: string) =>
  gate.judge({ tool: 'bash_execute', input: { command }, workspace: '/work/spaces/session_a' }).decision

/** Rewrites that change what is done, by themselves or for anybody who looks: they are asked about, and rightly. */
const ASKED_ABOUT = /sudo|unknown wrapper/

test('no hostile command line is allowed', () => {
  expect(HOSTILE.length).toBeGreaterThanOrEqual(200)
  expect(HOSTILE.filter((line) => judge(line) === 'allow')).toEqual([])
})

test('harmless command lines are allowed', () => {
  expect(HARMLESS.length).toBeGreaterThanOrEqual(200)
  expect(HARMLESS.filter((line) => judge(line) !== 'allow')).toEqual([])
})

test('no hostile command line is allowed for being written another way', () => {
  const random = seededRandom('hostile rewrites')
  const lines = HOSTILE.flatMap((line) => REWRITES.flatMap(({ apply }) => apply(line, random) ?? []))
  const allowed = lines.filter((line) => judge(line) === 'allow')
  console.info(`${HOSTILE.length} hostile lines, ${lines.length} rewrites: ${allowed.length} allowed`)
  expect(lines.length).toBeGreaterThan(10_000)
  expect(allowed).toEqual([])
})

test('at least 99 % of the harmless are allowed, written another way', () => {
  const random = seededRandom('harmless rewrites')
  const rewrites = REWRITES.filter(({ name }) => !ASKED_ABOUT.test(name))
  const lines = HARMLESS.flatMap((line) => rewrites.flatMap(({ apply }) => apply(line, random) ?? []))
  const allowed = lines.filter((line) => judge(line) === 'allow').length
  console.info(`${HARMLESS.length} harmless lines, ${lines.length} rewrites: ${allowed} allowed`)
  expect(allowed / lines.length).toBeGreaterThanOrEqual(0.99)
})

test('a line of any length is judged in bounded time', () => {
  const long = 'echo x; '.repeat(12_000)
  const nested = `${'$('.repeat(200)}rm -rf /${')'.repeat(200)}`
  const startedAt = performance.now()
  for (const line of [long, nested, `${'('.repeat(500)}ls${')'.repeat(500)}`, `rm ${'a'.repeat(90_000)}`]) judge(line)
  expect(performance.now() - startedAt).toBeLessThan(2_000)
  expect(judge(nested), 'what cannot be followed to its end is not allowed').not.toBe('allow')
})
