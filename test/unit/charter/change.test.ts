/**
 * Charters that are checked, changed, and put under another one.
 */
import { expect, test } from 'vitest'
import { mergeCharters, updateCharter, validateCharter } from '../../../src/charter/change.js'
import { type CharterInput, charterSchema } from '../../../src/charter/schema.js'

const charter = (input: CharterInput) => charterSchema.parse(input)

test('a check names the field of every mistake', () => {
  expect(validateCharter({ name: 'a' })).toEqual({ errors: [], warnings: [] })
  expect(validateCharter({ tier: 4, capabilities: 'all' }).errors).toEqual([
    expect.stringMatching(/^tier: /),
    expect.stringMatching(/^capabilities: /),
  ])
})

test('the tier never changes', () => {
  const before = charter({ name: 'a', tier: 1 })

  const { charter: after, errors } = updateCharter(before, { tier: 2, name: 'b' })

  expect(errors).toEqual(['tier: it cannot change from 1 to 2'])
  expect(after).toBe(before)
})

test('another name or role is a warning, and fields that are not given stay', () => {
  const before = charter({ name: 'a', role: 'r', resourceLimits: { maxSessions: 3, maxConcurrentTasks: 2 } })

  const { charter: after, errors, warnings } = updateCharter(before, { name: 'b', resourceLimits: { maxSessions: 5 } })

  expect(errors).toEqual([])
  expect(warnings).toEqual(['name: it changes from "a" to "b"'])
  expect(after.resourceLimits).toMatchObject({ maxSessions: 5, maxConcurrentTasks: 2 })
})

test('G-07: a change that breaks a rule between fields is refused', () => {
  const before = charter({ safetyHeuristics: { alwaysReject: ['git push'] } })

  expect(updateCharter(before, { safetyHeuristics: { autoApprove: ['Git Push'] } }).errors).toHaveLength(1)
})

test('G-07: a child is bound by its parent', () => {
  const parent = charter({
    identity: { name: 'P', description: 'parent' },
    tier: 1,
    resourceLimits: { maxSessions: 5, tokenBudget: { hourly: 100, daily: 1_000 } },
    memory: { maxHeapMB: 500, maxContextTokens: 9_000 },
    safetyHeuristics: { autoApprove: ['Read files', 'Git push'], alwaysReject: ['a'], escalate: ['c'] },
    hardConstraints: ['x'],
  })
  const child = charter({
    identity: { name: 'C' },
    resourceLimits: { maxSessions: 9, maxConcurrentTasks: 2, tokenBudget: { hourly: 50 } },
    memory: { maxContextTokens: 7_000 },
    safetyHeuristics: {
      autoApprove: ['read  files', 'Run tests'],
      alwaysReject: ['b', 'A'],
      requireConfirmation: ['d'],
    },
    hardConstraints: ['y'],
  })

  expect(mergeCharters(parent, child)).toMatchObject({
    tier: 1,
    identity: { name: 'C', description: 'parent' },
    resourceLimits: { maxSessions: 5, maxConcurrentTasks: 2, tokenBudget: { hourly: 50, daily: 1_000 } },
    memory: { maxHeapMB: 500, maxContextTokens: 7_000 },
    safetyHeuristics: {
      autoApprove: ['Read files'],
      alwaysReject: ['a', 'b'],
      escalate: ['c'],
      requireConfirmation: ['d'],
    },
    hardConstraints: ['x', 'y'],
  })
})
