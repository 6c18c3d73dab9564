/**
 * `approval_decision`: who may answer, what is decided, and what the worker is told. `list_approvals`: what waits.
 */
import { expect, test, vi } from 'vitest'
import type { ApprovalDecisions } from '../../../src/edge/rows.js'
import type { ApprovalRow } from '../../../src/storage/approvals.js'
import { AUTH, startEdge, token } from './edge-fixture.js'

type Result = Awaited<ReturnType<ApprovalDecisions['decide']>>

async function asking(result: Result, role = 'user') {
  const decide = vi.fn<ApprovalDecisions['decide']>(async () => result)
  const { client, worker } = await startEdge({ auth: AUTH, approvals: { decide, list: async () => [] } })
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

const rowOf = (n: number): ApprovalRow => ({
  ...{
    approvalId: `approval_${n}`,
    sessionId: 'session_000_x',
    toolName: 'bash_execute',
    toolInput: { command: 'ls' },
  },
  ...{ reason: 'it asks', level: 'confirm', state: 'pending', requestedAt: new Date(0), expiresAt: new Date(1_000) },
  ...{ decidedAt: null, decidedBy: null, comment: null },
})

async function listing(payload: object, role: string, rows: readonly ApprovalRow[] = []) {
  const list = vi.fn<ApprovalDecisions['list']>(async (_tenant, { limit }) => rows.slice(0, limit))
  const { client } = await startEdge({ auth: AUTH, approvals: { decide: async () => ({ status: 'decided' }), list } })
  const asker = await client({ token: await token({ sub: 'alice', claims: { tenant: 'acme', role } }) })
  return { answer: await asker.ask({ type: 'list_approvals', payload }), list }
}

test('a list comes in pages, with what a person needs to answer', async () => {
  const { answer } = await listing({ limit: 2 }, 'admin', [rowOf(3), rowOf(2), rowOf(1)])

  expect(answer).toMatchObject({ type: 'approvals_list', cursor: 'approval_2' })
  expect((answer.approvals as object[])[0]).toEqual({
    ...{ approvalId: 'approval_3', sessionId: 'session_000_x', toolName: 'bash_execute', toolInput: { command: 'ls' } },
    ...{ reason: 'it asks', level: 'confirm', state: 'pending' },
    ...{ requestedAt: '1970-01-01T00:00:00.000Z', expiresAt: '1970-01-01T00:00:01.000Z' },
  })
})

test('a user is shown what its own sessions ask, and one request by its id whatever became of it', async () => {
  const { answer, list } = await listing({ approvalId: 'approval_1' }, 'user')

  expect(answer).toMatchObject({ type: 'approvals_list', approvals: [] })
  expect(answer).not.toHaveProperty('cursor')
  expect(list).toHaveBeenCalledWith('acme', expect.objectContaining({ owner: 'alice', id: 'approval_1', state: 'all' }))
})

test('a session that is not there has no approvals to list', async () => {
  const { answer, list } = await listing({ sessionId: 'session_000_01M82GF4GZ1QDJK1ACNRY25QCT' }, 'admin')

  expect(answer).toMatchObject({ type: 'error', code: 'session_not_found' })
  expect(list).not.toHaveBeenCalled()
})
