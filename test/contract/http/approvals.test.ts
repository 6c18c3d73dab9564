/**
 * Approvals over HTTP (row H-04): who is asked, and who may answer what, once.
 */
import { beforeAll, expect, test } from 'vitest'
import { newApprovalId } from '../../../src/protocol/ids.js'
import { Approvals } from '../../../src/storage/approvals.js'
import { allPages, type House, openHouse, type Requester } from './http-fixture.js'

let house: House
let alice: Requester
let admin: Requester
beforeAll(async () => {
  house = await openHouse()
  alice = await house.as('alice', 'acme', 'user')
  admin = await house.as('root', 'acme', 'admin')
})

/** A call of a session waits for a person. */
async function waiting(sessionId: string, level: 'confirm' | 'escalate' = 'confirm'): Promise<string> {
  const id = newApprovalId()
  await new Approvals(house.database).request({
    ...{ id, tenant: 'acme', sessionId, commandId: sessionId, callId: id, tool: 'bash_execute', requestHash: id },
    ...{ input: '{"command":"deploy"}', reason: 'The charter asks.', rule: 'deploy', level, timeoutMs: 3_600_000 },
  })
  return id
}

test('what waits is listed, newest first, and shown', async () => {
  const sessionId = await alice.spawn()
  const ids = [await waiting(sessionId), await waiting(sessionId), await waiting(sessionId)].reverse()

  const listed = await allPages<{ approvalId: string }>(
    alice,
    `/api/approvals?limit=2&sessionId=${sessionId}`,
    'approvals',
  )
  const { body } = await alice.get(`/api/approvals/${ids[0]}`)

  expect(listed.map(({ approvalId }) => approvalId)).toEqual(ids)
  expect(body).toMatchObject({
    ...{ approvalId: ids[0], sessionId, toolName: 'bash_execute', toolInput: { command: 'deploy' }, state: 'pending' },
    ...{
      reason: 'The charter asks.',
      level: 'confirm',
      requestedAt: expect.any(String),
      expiresAt: expect.any(String),
    },
  })
})

test('an answer counts once, and the same request may be sent again', async () => {
  const sessionId = await alice.spawn()
  const id = await waiting(sessionId)
  const decide = (decision: string, key: string) =>
    alice.post(`/api/approvals/${id}/decision`, { decision, comment: 'go' }, { 'idempotency-key': key })

  const [first, again, other] = [
    await decide('approve', 'd-1'),
    await decide('approve', 'd-1'),
    await decide('reject', 'd-2'),
  ]

  expect(first).toMatchObject({ status: 202, body: { commandId: 'd-1', sessionId } })
  expect(again).toMatchObject({ status: 202, body: { commandId: 'd-1', duplicate: true } })
  expect(other).toMatchObject({ status: 409, body: { code: 'approval_closed' } })
  expect((await alice.get(`/api/approvals/${id}`)).body).toMatchObject({
    ...{ state: 'approved', decidedBy: 'alice', comment: 'go', decidedAt: expect.any(String) },
  })
  expect((await alice.get(`/api/approvals?sessionId=${sessionId}`)).body.approvals).toEqual([])
  expect((await alice.get(`/api/approvals?sessionId=${sessionId}&state=all`)).body.approvals).toHaveLength(1)
})

test('what is escalated an administrator answers, and nobody who only looks answers anything', async () => {
  const sessionId = await alice.spawn()
  const id = await waiting(sessionId, 'escalate')
  const reader = await house.as('eve', 'acme', 'readonly')
  const answer = { decision: 'approve' }

  expect(await alice.post(`/api/approvals/${id}/decision`, answer)).toMatchObject({
    status: 403,
    body: { code: 'forbidden' },
  })
  expect((await reader.get(`/api/approvals/${id}`)).body.approvalId).toBe(id)
  expect(await reader.post(`/api/approvals/${id}/decision`, answer)).toMatchObject({ status: 403 })
  expect(await admin.post(`/api/approvals/${id}/decision`, answer)).toMatchObject({ status: 202 })
})

test('approvals of others are not there', async () => {
  const id = await waiting(await alice.spawn())
  const [bob, stranger] = [await house.as('bob', 'acme', 'user'), await house.as('root', 'umbrella', 'admin')]

  for (const asker of [bob, stranger]) {
    expect((await asker.get('/api/approvals?state=all')).body).toEqual({ approvals: [] })
    expect(await asker.get(`/api/approvals/${id}`)).toMatchObject({ status: 404, body: { code: 'approval_not_found' } })
    expect(await asker.post(`/api/approvals/${id}/decision`, { decision: 'approve' })).toMatchObject({ status: 404 })
  }
})
