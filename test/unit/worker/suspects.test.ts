/**
 * Turns that may have brought down their workers begin one after the other.
 */
import { expect, test, vi } from 'vitest'
import { Suspects } from '../../../src/worker/suspects.js'

const NEVER = new AbortController().signal

test('the next one begins when the one before has ended', async () => {
  const suspects = new Suspects(60_000)
  const end = await suspects.begin(NEVER)
  const began = vi.fn()
  const second = suspects.begin(NEVER).then(began)
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(began).not.toHaveBeenCalled()

  end()

  await second
})

test('one that takes long holds the others up for a while only', async () => {
  const suspects = new Suspects(20)
  await suspects.begin(NEVER)

  await suspects.begin(NEVER)
})

test('one that is aborted while it waits goes on at once, and the order of the others stands', async () => {
  const suspects = new Suspects(60_000)
  const end = await suspects.begin(NEVER)
  const stop = new AbortController()
  const aborted = suspects.begin(stop.signal)
  const third = suspects.begin(NEVER)

  stop.abort()
  ;(await aborted)()
  end()

  await third
})
