/**
 * How long a test waits for a condition when it names no time itself. Vitest gives up after one second, which a machine with
 * other work uses up by itself; a test that passes never waits for this.
 */
import { expect, vi } from 'vitest'

/** Less than the time of any test, so that a failure names the condition. */
const PATIENCE_MS = 15_000

const { waitFor, waitUntil } = vi
const { poll } = expect
vi.waitFor = (condition, options) => waitFor(condition, patient(options))
vi.waitUntil = (condition, options) => waitUntil(condition, patient(options))
expect.poll = (value, options) => poll(value, { timeout: PATIENCE_MS, ...options })

type WaitOptions = Parameters<typeof waitFor>[1]

const patient = (options: WaitOptions): WaitOptions =>
  typeof options === 'number' ? options : { timeout: PATIENCE_MS, ...options }
