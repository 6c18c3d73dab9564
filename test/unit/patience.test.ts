/**
 * Waits of tests that name no time.
 */
import { expect, test, vi } from 'vitest'

/** Vitest itself waits for one second. */
const LATE_MS = 1_300

test('a wait that names no time outlasts the second that a busy machine may take', async () => {
  const at = performance.now() + LATE_MS
  const isLate = (): boolean => performance.now() > at

  await Promise.all([
    vi.waitFor(() => expect(isLate()).toBe(true)),
    vi.waitUntil(isLate, { interval: 5 }),
    expect.poll(isLate).toBe(true),
  ])
})
