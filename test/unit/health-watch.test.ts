/**
 * The look at the parts of a process from time to time: each change is one line in the log.
 */
import { expect, onTestFinished, test, vi } from 'vitest'
import { HealthWatch } from '../../src/assembly/health-watch.js'
import { Health } from '../../src/telemetry/health.js'

function watch(intervalMs: number) {
  const health = new Health()
  const parts = { redis: true, database: true }
  for (const part of ['redis', 'database'] as const) {
    health.register(part, async () => {
      if (!parts[part]) throw new Error('connection refused')
    })
  }
  const lines: string[] = []
  const note = (fields: object, text: string) => lines.push(`${text} ${JSON.stringify(fields)}`)
  const watching = new HealthWatch({ health, intervalMs, log: { info: note, warn: note } })
  watching.start()
  onTestFinished(() => watching.stop())
  return { parts, lines, watching }
}

test('a part that fails, and that works again, is one line each, however often it is looked at', async () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const { parts, lines } = watch(1_000)

  await vi.advanceTimersByTimeAsync(3_000)
  expect(lines).toEqual([])
  parts.redis = false
  await vi.advanceTimersByTimeAsync(5_000)
  parts.redis = true
  await vi.advanceTimersByTimeAsync(5_000)

  expect(lines).toEqual([
    'health: redis does not work {"part":"redis","error":"connection refused"}',
    'health: redis works again {"part":"redis"}',
  ])
})

test('nothing is looked at after the stop', async () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const { parts, lines, watching } = watch(1_000)

  watching.stop()
  parts.database = false
  await vi.advanceTimersByTimeAsync(5_000)

  expect(lines).toEqual([])
})
