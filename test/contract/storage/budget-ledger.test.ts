/**
 * The ledger of what calls used, and the reports that are made from it.
 */
import { beforeEach, expect, test } from 'vitest'
import { BudgetLedger, type LedgerRow } from '../../../src/storage/budget-ledger.js'
import { BudgetOverrides, type NewOverride } from '../../../src/storage/budget-overrides.js'
import type { Database } from '../../../src/storage/database.js'
import { UsageReports } from '../../../src/storage/usage-report.js'
import { eachDatabase } from '../../support/databases.js'

const HOUR_MS = 3_600_000
const NOON = new Date('2026-11-25T12:00:00Z')
const at = (hours: number) => new Date(NOON.getTime() + hours * HOUR_MS)

const row = (stepId: string, more: Partial<LedgerRow> = {}): LedgerRow => ({
  ...{ stepId, at: NOON, tenant: 'acme', orchestratorId: 'orch', sessionId: 's1', model: 'gpt-5' },
  ...{ tools: [], promptTokens: 70, cachedTokens: 10, completionTokens: 30, cost: 0.5 },
  ...more,
})

const override = (more: Partial<NewOverride> = {}): NewOverride => ({
  ...{ tenant: 'acme', scope: 'orchestrator', scopeId: 'orch', period: 'daily', tokens: 5_000, forMs: HOUR_MS },
  ...{ reason: 'a release', createdBy: 'ada' },
  ...more,
})

eachDatabase((open) => {
  let database: Database
  let ledger: BudgetLedger
  beforeEach(async () => {
    database = await open()
    ledger = new BudgetLedger(database)
    await database.sql.deleteFrom('budget_ledger').execute()
    await database.sql.deleteFrom('budget_overrides').execute()
  })

  test('a call that is written twice counts once, and sums keep to their scope and time', async () => {
    await ledger.add([row('a'), row('b', { orchestratorId: 'other', at: at(-30) })])
    await ledger.add([row('a', { promptTokens: 999 }), row('c', { tenant: 'evil' })])

    const span = { tenant: 'acme', id: 'acme', start: at(-48), end: at(1) }
    expect(await ledger.sum({ ...span, scope: 'tenant' })).toBe(200)
    expect(await ledger.sum({ ...span, scope: 'tenant', start: at(-1) })).toBe(100)
    expect(await ledger.sum({ ...span, scope: 'tenant', end: NOON })).toBe(100)
    expect(await ledger.sum({ ...span, scope: 'orchestrator', id: 'orch' })).toBe(100)
    expect(await ledger.sum({ ...span, scope: 'session', id: 's1', start: new Date(0), end: undefined })).toBe(200)
    expect(await ledger.sum({ ...span, scope: 'session', id: 'none' })).toBe(0)
  })

  test('B-05: an override holds until it expires or is revoked, and the list tells who did what', async () => {
    const overrides = new BudgetOverrides(database)
    await overrides.set(override({ tokens: 1_000, forMs: 1 }))
    const revoked = await overrides.set(override({ tokens: 2_000 }))
    await overrides.set(override({ tokens: 3_000 }))
    await overrides.set(override({ tenant: 'evil', scopeId: 'orch' }))

    expect(await overrides.revoke('evil', revoked, 'eve')).toBe(false)
    expect(await overrides.revoke('acme', revoked, 'bob')).toBe(true)
    expect(await overrides.revoke('acme', revoked, 'bob')).toBe(false)

    await expect.poll(() => overrides.findHolding('acme')).toMatchObject([{ scopeId: 'orch', tokens: 3_000 }])
    expect(await overrides.list('acme', 10)).toMatchObject([
      { tokens: 3_000, createdBy: 'ada', reason: 'a release', revokedBy: null },
      { tokens: 2_000, revokedBy: 'bob' },
      { tokens: 1_000 },
    ])
  })

  test('B-11: usage is grouped by time and by what is asked for; the tokens of a call are shared among its tools', async () => {
    const reports = new UsageReports(database)
    await ledger.add([
      row('a', { tools: ['bash', 'read'] }),
      row('b', { model: 'o3', at: at(1) }),
      row('c', { tools: ['bash'], at: at(13), sessionId: 's2' }),
      row('d', { at: at(100) }),
    ])
    const question = { tenant: 'acme', start: at(-1), end: at(50) }

    expect(await reports.groups(question, [], 'daily', 10)).toMatchObject([
      { from: new Date('2026-11-25T00:00:00Z'), calls: 2, tokens: 200, promptTokens: 140, cachedTokens: 20, cost: 1 },
      { from: new Date('2026-11-26T00:00:00Z'), calls: 1, tokens: 100 },
    ])
    expect(await reports.groups(question, ['model', 'session'], 'monthly', 10)).toMatchObject([
      { model: 'gpt-5', session: 's1', tokens: 100 },
      { model: 'gpt-5', session: 's2', tokens: 100 },
      { model: 'o3', session: 's1', tokens: 100 },
    ])
    expect(await reports.groups(question, ['tool'], 'weekly', 10)).toMatchObject([
      { tool: 'bash', calls: 2, tokens: 150 },
      { tool: '', calls: 1, tokens: 100 },
      { tool: 'read', calls: 1, tokens: 50 },
    ])
    expect(await reports.groups({ ...question, sessionId: 's2' }, [], 'hourly', 10)).toHaveLength(1)
    expect(await reports.groups({ ...question, orchestratorId: 'none' }, [], 'hourly', 10)).toEqual([])
  })

  test('old calls are removed in pieces', async () => {
    await ledger.add([row('a', { at: new Date(0) }), row('b', { at: new Date(1) }), row('c', { at: new Date() })])

    expect([await ledger.purge(HOUR_MS, 1), await ledger.purge(HOUR_MS, 10), await ledger.purge(HOUR_MS, 10)]).toEqual([
      1, 1, 0,
    ])
  })
})
