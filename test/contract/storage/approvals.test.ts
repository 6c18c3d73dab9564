/**
 * Approvals are asked for once, decided once, and every change of one is in the audit log.
 */
import { sql } from 'kysely'
import { beforeEach, expect, test } from 'vitest'
import { newApprovalId, newCommandId, newSessionId } from '../../../src/protocol/ids.js'
import { type ApprovalQuery, Approvals, type Decision, type NewApproval } from '../../../src/storage/approvals.js'
import type { Database } from '../../../src/storage/database.js'
import { Sessions } from '../../../src/storage/sessions.js'
import { eachDatabase } from '../../support/databases.js'

eachDatabase((open) => {
  let database: Database
  let approvals: Approvals
  let asked: NewApproval
  beforeEach(async () => {
    database = await open()
    approvals = new Approvals(database)
    asked = {
      ...{
        id: newApprovalId(),
        tenant: 'acme',
        sessionId: newSessionId(0),
        commandId: newCommandId(),
        callId: 'call-1',
      },
      ...{ tool: 'bash_execute', requestHash: 'hash', input: '{"command":"x\\u0000"}', reason: 'it does x', rule: 'r' },
      ...{ level: 'confirm', timeoutMs: 60_000 },
    }
  })

  const answer = (more: Partial<Decision> = {}): Decision => ({
    ...{ id: asked.id, tenant: 'acme', sessionId: asked.sessionId, decision: 'approve', by: 'alice', isAdmin: false },
    ...{ comment: undefined, decisionId: 'cmd-1' },
    ...more,
  })
  const actions = async (): Promise<string[]> => {
    const rows = await database.sql
      .selectFrom('audit_log')
      .selectAll()
      .where('session_id', '=', asked.sessionId)
      .orderBy('id')
      .execute()
    return rows.map(({ actor, action, subject }) => `${actor} ${action} ${subject === asked.id}`)
  }

  test('a call that asks again finds its request', async () => {
    const first = await approvals.request(asked)
    const again = await approvals.request({ ...asked, id: newApprovalId() })

    expect(again).toEqual(first)
    expect(first).toMatchObject({ id: asked.id, state: 'pending', decidedBy: null })
    expect(await actions()).toEqual(['service approval.requested true'])
  })

  test('an agent that was started anew finds what it asked for under another call id, while it waits', async () => {
    await approvals.request(asked)

    const adopted = await approvals.request({ ...asked, id: newApprovalId(), callId: 'call-2' })
    const other = await approvals.request({ ...asked, id: newApprovalId(), callId: 'call-3', requestHash: 'other' })

    expect(adopted.id).toBe(asked.id)
    expect(other.id).not.toBe(asked.id)
  })

  test('of many answers exactly one counts, and the same one may be sent again', async () => {
    await approvals.request(asked)

    const answers = Array.from({ length: 8 }, (_, n) =>
      approvals.decide(answer({ decisionId: `cmd-${n}`, decision: n % 2 === 0 ? 'approve' : 'reject' })),
    )
    const results = await Promise.all(answers)

    const first = results.findIndex(({ status }) => status === 'decided')
    expect(results.filter(({ status }) => status === 'decided')).toHaveLength(1)
    expect(results.filter(({ status }) => status === 'closed')).toHaveLength(7)
    expect(await approvals.decide(answer({ decisionId: `cmd-${first}` }))).toEqual({ status: 'decided' })
    expect(await actions()).toHaveLength(2)
  })

  test('what is escalated is answered by an administrator alone', async () => {
    await approvals.request({ ...asked, level: 'escalate' })

    expect(await approvals.decide(answer())).toEqual({ status: 'forbidden' })
    expect(await approvals.decide(answer({ by: 'root', isAdmin: true, comment: 'fine' }))).toEqual({
      status: 'decided',
    })
    expect(await approvals.settled([asked.id])).toMatchObject([
      { state: 'approved', decidedBy: 'root', comment: 'fine' },
    ])
    expect(await actions()).toEqual(['service approval.requested true', 'root approval.approved true'])
  })

  test.each([
    ['another tenant', { tenant: 'umbrella' }],
    ['another session', { sessionId: newSessionId(1) }],
    ['another approval', { id: 'approval_x\0' }],
  ])('%s finds nothing', async (_name, more) => {
    await approvals.request(asked)
    expect(await approvals.decide(answer(more))).toEqual({ status: 'missing' })
  })

  test('what nobody answers expires, and no answer counts after that', async () => {
    await approvals.request({ ...asked, timeoutMs: -1 })

    expect(await approvals.decide(answer())).toEqual({ status: 'closed', state: 'expired' })
    expect(await approvals.settled([asked.id])).toMatchObject([
      { id: asked.id, state: 'expired', decidedBy: 'service' },
    ])
    expect(await actions()).toEqual(['service approval.requested true', 'service approval.expired true'])
  })

  test('a list shows what waits, newest first and page by page, and all of it when it is asked for', async () => {
    const tenant = 'lister'
    const ids: string[] = []
    for (const call of ['a', 'b', 'c', 'd']) {
      const id = newApprovalId()
      ids.unshift(id)
      const timeoutMs = call === 'a' ? -1 : 60_000
      await approvals.request({ ...asked, tenant, id, callId: call, requestHash: call, timeoutMs })
    }
    const [d = '', c, b, a] = ids
    await approvals.decide(answer({ tenant, id: d, comment: 'fine' }))
    const listed = async (more: Partial<ApprovalQuery>, whose = tenant) =>
      (await approvals.list(whose, { state: 'pending', limit: 10, ...more })).map((row) => row.approvalId)

    expect(await listed({})).toEqual([c, b])
    expect(await listed({ limit: 1 })).toEqual([c])
    expect(await listed({ before: c })).toEqual([b])
    expect(await listed({ sessionId: newSessionId(1) })).toEqual([])
    expect(await listed({}, 'umbrella')).toEqual([])
    expect(await listed({ state: 'all', id: a })).toEqual([a])
    const all = await approvals.list(tenant, { state: 'all', limit: 10 })
    expect(all.map(({ state }) => state)).toEqual(['approved', 'pending', 'pending', 'expired'])
    expect(all[0]).toMatchObject({ toolName: 'bash_execute', decidedBy: 'alice', comment: 'fine', level: 'confirm' })
  })

  test('a list for one who spawned some sessions shows requests of these alone', async () => {
    const sessions = new Sessions(database)
    const [mine, hers] = [newSessionId(0), newSessionId(0)]
    for (const [id, owner] of [
      [mine, 'alice'],
      [hers, 'eve'],
    ] as const) {
      const row = {
        id,
        shard: 0,
        tenant: 'owners',
        owner,
        orchestratorId: 'o',
        type: 'llm',
        bodyHash: 'h',
        spawn: '{}',
      }
      await sessions.reserve(row)
      await approvals.request({ ...asked, tenant: 'owners', id: newApprovalId(), sessionId: id })
    }

    const listed = await approvals.list('owners', { state: 'pending', owner: 'alice', limit: 10 })

    expect(listed.map(({ sessionId }) => sessionId)).toEqual([mine])
  })

  test('a task that ends withdraws what it still asks for, and nothing else', async () => {
    await approvals.request(asked)
    await approvals.request({ ...asked, id: newApprovalId(), callId: 'call-2', requestHash: 'b' })
    await approvals.decide(answer())

    await approvals.cancel(asked.sessionId, asked.commandId)

    const { rows } = await sql<{ state: string }>`
      select state from approvals where session_id = ${asked.sessionId} order by state`.execute(database.sql)
    expect(rows.map(({ state }) => state)).toEqual(['approved', 'cancelled'])
  })
})
