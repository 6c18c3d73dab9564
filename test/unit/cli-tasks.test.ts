/**
 * What the command line shows of tasks that wait.
 */
import { expect, test } from 'vitest'
import { NO_COLOURS } from '../../src/cli/output.js'
import { listOf } from '../../src/cli/tasks.js'
import type { QueuedTask } from '../../src/protocol/schedule.js'

const NOW = new Date('2026-01-01T10:00:00Z')
const waiting: QueuedTask = {
  ...{
    scheduleId: 'schedule_1',
    taskId: 'report',
    sessionId: null,
    description: 'write\u001b[2J it',
    priority: 'high',
  },
  ...{ state: 'waiting', since: '2026-01-01T09:00:00Z', position: 1, nextRunAt: null, runs: 0, missed: 0 },
  waitingFor: [
    { kind: 'time', at: '2026-01-01T10:05:00Z' },
    { kind: 'task', taskId: 'collect' },
  ],
}

test('each task says what it waits for, since when, and in which place', () => {
  const inbox: QueuedTask = {
    ...{ taskId: 'next', sessionId: 'session_x', description: 'go on', priority: 'low', state: 'pending', position: 1 },
    ...{ since: '2026-01-01T09:59:50Z', waitingFor: [{ kind: 'turn' }] },
  }
  const over: QueuedTask = {
    ...waiting,
    state: 'failed',
    position: 0,
    waitingFor: [],
    error: 'no',
    code: 'dependency_failed',
  }

  const lines = listOf([inbox, waiting, over], NOW, { colours: NO_COLOURS })

  expect(lines.map((line) => line.split(/\s{2,}/))).toEqual([
    ['PLACE', 'STATE', 'PRIORITY', 'WAITS FOR', 'SINCE', 'ID', 'TASK'],
    ['1', 'pending', 'low', 'its turn', '10.0 s', 'session_x', 'next: go on'],
    ['1', 'waiting', 'high', 'its time, in 5 min, task collect', '1 h', 'schedule_1', 'report: write[2J it'],
    ['-', 'failed', 'high', 'no', '1 h', 'schedule_1', 'report: write[2J it'],
  ])
})

test('nothing that waits is said in words', () => {
  expect(listOf([], NOW, { colours: NO_COLOURS })).toEqual(['no tasks'])
})
