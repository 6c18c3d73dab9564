/**
 * `approval_decision`: who may answer, what is decided, and what the worker is told.
 */
import { expect, test, vi } from 'vitest'
import type { ApprovalDecisions } from '../../../src/edge/dependencies.js'
import { AUTH, startEdge, token } from './edge-fixture.js'

type Result = Awaited<ReturnType<ApprovalDecisions['decide']>>

async function asking(result: Result, role = 'user') {
  const decide = vi.fn<ApprovalDecisions['decide']>(async () => result)
  const { client, worker } = await startEdge({ auth: AUTH, approvals: { decide } })
  const owner = await client({ token: await token({ sub: 'alice', claims: { tenant: 'acme', role: 'user' } }) })
  const asker = await client({ token: await token({ sub: 'alice', claims: { tenant: 'acme', role } }) })
  const sessionId = await owner.spawn()
  const answer = await asker.ask({
    type: 'approval_decision',
    commandId: 'decision-1',
    payload: { sessionId, approvalId: 'approval_1', decision: 'reject', comment: 'no' },
  })
  return { answer, decide, sessionId, worker }
}

test('an answer is decided under its command id, and then accepted by the worker', async () => {
  const { answer, decide, sessionId } = await asking({ status: 'decided' })

  expect(answer).toMatchObject({ commandId: 'decision-1' })
  expect(answer.type).not.toBe('error')
  expect(decide).toHaveBeenCalledWith({
    ...{ id: 'approval_1', tenant: 'acme', sessionId, decision: 'reject', comment: 'no' },
    ...{ by: 'alice', isAdmin: false, decisionId: 'decision-1' },
  })
})

test.each([
  [{ status: 'missing' }, 'approval_not_found'],
  [{ status: 'closed', state: 'expired' }, 'approval_closed'],
  [{ status: 'forbidden' }, 'forbidden'],
] as const)('%j is said as %s', async (result, code) => {
  expect((await asking(result)).answer).toMatchObject({ type: 'error', code, commandId: 'decision-1' })
})

test('an administrator answers as one', async () => {
  const { decide } = await asking({ status: 'decided' }, 'admin')
  expect(decide).toHaveBeenCalledWith(expect.objectContaining({ isAdmin: true }))
})

test('whoever may only look decides nothing', async () => {
  const { answer, decide } = await asking({ status: 'decided' }, 'readonly')
  expect(answer).toMatchObject({ type: 'error', code: 'forbidden' })
  expect(decide).not.toHaveBeenCalled()
})
