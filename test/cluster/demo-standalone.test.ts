/**
 * `npm run demo`: one process, one session with a real task on the files of this repository.
 */
import { expect, test } from 'vitest'
import { runDemo } from '../support/demo-run.js'

test('the demo in one process ends with a report whose numbers are right', async () => {
  const { exitCode, stderr, result } = await runDemo()

  expect(result, stderr).toMatchObject({ ok: true, failures: [], model: 'scripted', task: 'task_completed' })
  expect(exitCode).toBe(0)
  const { report, usage } = result as Record<'report' | 'usage', Readonly<Record<string, number>>>
  expect(report.files).toBeGreaterThan(50)
  expect(report.lines).toBeGreaterThan(10)
  expect(usage.promptTokens).toBeGreaterThan(1_000)
})

test('the demo says what it cannot understand and does nothing', async () => {
  const { exitCode, stderr, result } = await runDemo('--sessions', 'many')

  expect(exitCode).toBe(2)
  expect(stderr).toContain('--sessions is a whole number')
  expect(result).toBeUndefined()
})
