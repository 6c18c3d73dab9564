/**
 * What a program's side keeps of sessions, and for how long.
 */
import { expect, test } from 'vitest'
import { SessionNotes } from '../../src/library/session-notes.js'

function notes() {
  let now = 0
  const made = new SessionNotes(() => now)
  return { notes: made, pass: (ms: number) => (now += ms) }
}

test('what a session has said stays after its end, until it is cleaned up', () => {
  const { notes: it, pass } = notes()
  it.heard('a', 'one ')
  it.heard('a', 'two')
  it.heard('b', 'goes on')
  it.ended('a')
  pass(1_000)

  const tooEarly = it.cleanUp(2_000)
  const kept = it.output('a')
  const cleaned = it.cleanUp(1_000)

  expect([tooEarly, kept, cleaned]).toEqual([0, 'one two', 1])
  expect([it.output('a'), it.output('b')]).toEqual(['', 'goes on'])
})

test('only the end of what was said is kept', () => {
  const { notes: it } = notes()
  it.heard('a', `first ${'x'.repeat(100_000)}`)

  expect(it.output('a')).toBe('x'.repeat(100_000))
})

test('of a thousand ended sessions the one that ended first makes room', () => {
  const { notes: it } = notes()
  for (let n = 0; n <= 1_000; n++) {
    it.heard(`s${n}`, 'x')
    it.ended(`s${n}`)
  }

  expect([it.output('s0'), it.output('s1'), it.output('s1000')]).toEqual(['', 'x', 'x'])
  expect(it.cleanUp(0)).toBe(1_000)
})

test('figures of the program stand in place of those of the service', () => {
  const { notes: it } = notes()
  const recorded = { tokensUsed: 1, duration: 2, tasksCompleted: 3, errorsEncountered: 4, averageResponseTime: 5 }
  it.setMetrics('a', { tokensUsed: 10 })
  it.setMetrics('a', { duration: 20 })

  expect(it.metrics('a', recorded)).toEqual({ ...recorded, tokensUsed: 10, duration: 20 })
  expect(it.metrics('b', recorded)).toEqual(recorded)
})
