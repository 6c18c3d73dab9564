/**
 * What the command line shows of tool calls that wait for a person.
 */
import { expect, test } from 'vitest'
import { listOf } from '../../src/cli/approvals.js'
import { NO_COLOURS } from '../../src/cli/output.js'
import type { ListedApproval } from '../../src/protocol/approvals.js'

const NOW = new Date('2026-01-01T10:00:00Z')
const waiting: ListedApproval = {
  ...{ approvalId: 'approval_2', sessionId: 'session_x', toolName: 'bash_execute', level: 'escalate' },
  ...{ toolInput: { command: 'helm upgrade\u001b[2J app' }, reason: 'The charter wants somebody.', state: 'pending' },
  ...{ requestedAt: '2026-01-01T09:59:50Z', expiresAt: '2026-01-01T10:59:50Z' },
}

test('each request says what would run, for how long it is open, and why somebody is asked', () => {
  const over: ListedApproval = {
    ...{ ...waiting, approvalId: 'approval_1', toolName: 'Write', toolInput: { file_path: 'a.md' }, level: 'confirm' },
    ...{ state: 'rejected', decidedBy: 'ada', comment: 'not on a Friday' },
  }

  const lines = listOf([waiting, over], NOW, { colours: NO_COLOURS })

  expect(lines.map((line) => line.split(/\s{2,}/))).toEqual([
    ['ID', 'LEVEL', 'OPEN', 'AGE', 'SESSION', 'CALL'],
    ['approval_2', 'escalate', 'for 59 min', '10.0 s', 'session_x', 'bash_execute helm upgrade[2J app'],
    ['', 'The charter wants somebody.'],
    ['approval_1', 'confirm', 'rejected', '10.0 s', 'session_x', 'Write a.md'],
    ['', 'The charter wants somebody. (ada: not on a Friday)'],
  ])
})

test('nothing that waits is said in words', () => {
  expect(listOf([], NOW, { colours: NO_COLOURS })).toEqual(['no approvals'])
})
