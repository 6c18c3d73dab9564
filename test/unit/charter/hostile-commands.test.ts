/**
 * The default charter against command lines: what nobody may run unasked is never allowed, however it is written, and what
 * is harmless is not held up.
 */
import { expect, test } from 'vitest'
import { CharterGate } from '../../../src/charter/gate.js'
import { charterSchema } from '../../../src/charter/schema.js'
import { type SeededRandom, seededRandom } from '../../support/random.js'
import { HARMLESS, HOSTILE } from './command-table.js'
import { MORE_HARMLESS, MORE_HOSTILE } from './more-commands.js'
import { REWRITES } from './rewrites.js'

const gate = new CharterGate({ charter: charterSchema.parse({}), foreign: ['/work/spaces', '/work/data'] })
const judge = (command: string) =>
  gate.judge({ tool: 'bash_execute', input: { command }, workspace: '/work/spaces/session_a' }).decision

/** Rewrites that change what is done, by themselves or for anybody who looks: they are asked about, and rightly. */
const ASKED_ABOUT = /sudo|unknown wrapper/

/** Others with each run: all of them would take a minute. */
const SAMPLE = 60
const sampleOf = (lines: readonly string[], random: SeededRandom): string[] =>
  Array.from({ length: SAMPLE }, () => random.pick(lines))

test('no hostile command line is allowed', () => {
  expect(HOSTILE.length).toBeGreaterThanOrEqual(200)
  expect([...HOSTILE, ...MORE_HOSTILE].filter((line) => judge(line) === 'allow')).toEqual([])
})

test('harmless command lines are allowed', () => {
  expect(HARMLESS.length).toBeGreaterThanOrEqual(200)
  expect([...HARMLESS, ...MORE_HARMLESS].filter((line) => judge(line) !== 'allow')).toEqual([])
})

test('G-01: no hostile command line is allowed for being written another way', () => {
  const random = seededRandom('hostile rewrites')
  const tried = [...HOSTILE, ...sampleOf(MORE_HOSTILE, random)]
  const lines = tried.flatMap((line) => REWRITES.flatMap(({ apply }) => apply(line, random) ?? []))
  const allowed = lines.filter((line) => judge(line) === 'allow')
  console.info(`${tried.length} hostile lines, ${lines.length} rewrites: ${allowed.length} allowed`)
  expect(lines.length).toBeGreaterThan(10_000)
  expect(allowed).toEqual([])
})

test('at least 99 % of the harmless are allowed, written another way', () => {
  const random = seededRandom('harmless rewrites')
  const rewrites = REWRITES.filter(({ name }) => !ASKED_ABOUT.test(name))
  const tried = [...HARMLESS, ...sampleOf(MORE_HARMLESS, random)]
  const lines = tried.flatMap((line) => rewrites.flatMap(({ apply }) => apply(line, random) ?? []))
  const allowed = lines.filter((line) => judge(line) === 'allow').length
  console.info(`${tried.length} harmless lines, ${lines.length} rewrites: ${allowed} allowed`)
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
