/**
 * Rounds that look for rows: when the next one comes, and what happens when one fails.
 */
import { expect, onTestFinished, test, vi } from 'vitest'
import { LeaseRounds } from '../../src/storage/lease-rounds.js'

/** Longer than any test: only a nudge begins another round. */
const LONG_MS = 60_000

function fixture(round: (number: number, rounds: LeaseRounds) => Promise<void>, pauseMs = LONG_MS) {
  let begun = 0
  const failures: boolean[] = []
  const rounds: LeaseRounds = new LeaseRounds({
    round: () => round(++begun, rounds),
    pauseMs,
    onFailed: (_error, isFirst) => failures.push(isFirst),
  })
  const stopping = new AbortController()
  const ended = rounds.run(stopping.signal)
  onTestFinished(() => stopping.abort())
  return { failures, ended, stop: () => stopping.abort(), begun: () => begun }
}

test('what comes while a round looks wakes the next one', async () => {
  const { begun } = fixture(async (number, rounds) => {
    if (number < 3) rounds.nudge()
  })

  await vi.waitFor(() => expect(begun()).toBe(3))
})

test('a round that fails is followed by the next, and only the first of several says so', async () => {
  const { failures, begun } = fixture(async (number) => {
    if (number !== 3) throw new Error('away')
  }, 1)

  await vi.waitFor(() => expect(begun()).toBeGreaterThan(5))
  expect(failures.slice(0, 4)).toEqual([true, false, true, false])
})

test('the signal ends the pause at once, and a round under way with its end', async () => {
  let finish = (): void => undefined
  const looking = new Promise<void>((resolve) => {
    finish = resolve
  })
  const { ended, stop, begun } = fixture(() => looking)
  let isOver = false
  void ended.then(() => {
    isOver = true
  })
  stop()
  await new Promise((resolve) => setImmediate(resolve))
  expect(isOver).toBe(false)
  finish()

  await ended
  expect(begun()).toBe(1)
})
