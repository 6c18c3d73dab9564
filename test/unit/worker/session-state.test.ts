import { describe, expect, test } from 'vitest'
import { isTerminal, SESSION_STATUSES, TASK_STATUSES } from '../../../src/protocol/session.js'
import { nextSessionStatus, nextTaskStatus } from '../../../src/worker/session-state.js'

const SESSION_TRIGGERS = ['spawn', 'pause', 'resume', 'complete', 'stop', 'fail'] as const
const TASK_TRIGGERS = ['start', 'complete', 'fail', 'cancel'] as const

/** Every allowed step; all other pairs must be refused. */
const SESSION_STEPS = new Map([
  ['initializing spawn', 'active'],
  ['initializing stop', 'terminated'],
  ['initializing fail', 'failed'],
  ['active pause', 'paused'],
  ['active complete', 'completed'],
  ['active stop', 'terminated'],
  ['active fail', 'failed'],
  ['paused resume', 'active'],
  ['paused complete', 'completed'],
  ['paused stop', 'terminated'],
  ['paused fail', 'failed'],
])

const TASK_STEPS = new Map([
  ['pending start', 'in_progress'],
  ['pending cancel', 'cancelled'],
  ['pending fail', 'failed'],
  ['in_progress complete', 'completed'],
  ['in_progress fail', 'failed'],
  ['in_progress cancel', 'cancelled'],
])

describe.each(SESSION_STATUSES)('a session that is %s', (status) => {
  test.each(SESSION_TRIGGERS)('answers %s as the table says', (trigger) => {
    expect(nextSessionStatus(status, trigger)).toBe(SESSION_STEPS.get(`${status} ${trigger}`))
  })
})

describe.each(TASK_STATUSES)('a task that is %s', (status) => {
  test.each(TASK_TRIGGERS)('answers %s as the table says', (trigger) => {
    expect(nextTaskStatus(status, trigger)).toBe(TASK_STEPS.get(`${status} ${trigger}`))
  })
})

test('nothing leads out of a terminal state', () => {
  const ways = SESSION_STATUSES.filter(isTerminal).flatMap((status) =>
    SESSION_TRIGGERS.map((trigger) => nextSessionStatus(status, trigger)),
  )

  expect(ways.filter((next) => next !== undefined)).toEqual([])
})
