/**
 * The budgets for a program, with a daemon in the same process.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  type BudgetUse,
  OrchestratorDaemon,
  ServiceError,
  silentLog,
  TokenBudgetTracker,
  TokenTracker,
} from '../../src/index.js'
import { settingsFolder } from '../support/settings-fixture.js'

const folder = settingsFolder()
const daemon = new OrchestratorDaemon(
  {
    ...{ port: 0, METRICS_PORT: 0, REDIS_URL: '', DATABASE_URL: '', DAEMON_JWT_SECRET: '' },
    ...{ DATA_DIR: `${folder.path}/data`, WORKSPACE_ROOT: `${folder.path}/workspaces`, TOKEN_BUDGET_DAILY: 1_000 },
    TOKEN_BUDGET_TENANT_DAILY: 1_000_000,
  },
  { log: silentLog },
)
beforeAll(() => daemon.start())
afterAll(async () => {
  await daemon.stop()
  folder.remove()
})

const daily = (uses: readonly BudgetUse[]) =>
  uses.find(({ scope, period }) => scope === 'orchestrator' && period === 'daily')

test('before the daemon runs there are no budgets', async () => {
  const idle = new TokenTracker(new OrchestratorDaemon({ port: 0 }, { log: silentLog }))
  await expect(idle.getUsageStats('o')).rejects.toBeInstanceOf(ServiceError)
  expect(await idle.healthCheck()).toBe(false)
  expect(TokenBudgetTracker).toBe(TokenTracker)
})

test('usage that a program tracks counts, once for each id, and passes thresholds once', async () => {
  const tracker = new TokenTracker(daemon)
  const events: string[] = []
  for (const name of [
    'threshold:50',
    'threshold:75',
    'threshold:90',
    'threshold:100',
    'budget:exceeded',
    'usage:tracked',
  ] as const) {
    tracker.on(name, () => events.push(name))
  }

  const usage = { orchestratorId: 'tracked', model: 'gpt-4.1', promptTokens: 500, completionTokens: 100 }
  await tracker.trackUsage({ ...usage, usageId: 'one' })
  await tracker.trackUsage({ ...usage, usageId: 'one' })
  expect(daily(await tracker.getUsageStats('tracked'))).toMatchObject({
    used: 600,
    limit: 1_000,
    remaining: 400,
    status: 'healthy',
  })
  await tracker.trackUsage(usage)

  expect(daily(await tracker.getUsageStats('tracked'))).toMatchObject({ used: 1_200, remaining: 0, status: 'exceeded' })
  expect(events.filter((it) => it !== 'usage:tracked')).toEqual([
    ...['threshold:50', 'threshold:75', 'threshold:90', 'threshold:100', 'budget:exceeded'],
  ])
  expect(await tracker.healthCheck()).toBe(true)
})

test('P-07: ten reservations of 600 out of 1000 do not all succeed, and what is released is there again', async () => {
  const tracker = new TokenTracker(daemon)
  const tries = await Promise.allSettled(Array.from({ length: 10 }, () => tracker.reserveTokens('reserving', 600)))
  const [held] = tries.flatMap((it) => (it.status === 'fulfilled' ? [it.value] : []))

  expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  expect(await tracker.checkBudget('reserving', 'daily', 500)).toMatchObject({
    allowed: false,
    message: 'Would exceed daily budget (500 tokens needed, 400 available)',
  })
  expect(await tracker.releaseReservation(held?.id ?? '', 50)).toBe(true)
  expect(await tracker.releaseReservation(held?.id ?? '', 50)).toBe(false)
  expect(daily(await tracker.getUsageStats('reserving'))).toMatchObject({ used: 50, reserved: 0, remaining: 950 })
  expect(await tracker.checkBudget('reserving', 'daily', 950)).toMatchObject({ allowed: true })
})

test('an override holds at once, and is on record', async () => {
  const tracker = new TokenTracker(daemon)
  const id = await tracker.setBudgetOverride('overridden', {
    period: 'daily',
    tokens: 9_000,
    reason: 'a release',
    forMs: 60_000,
  })

  expect(daily(await tracker.getUsageStats('overridden'))).toMatchObject({ limit: 9_000 })
  expect(await daemon.budgets.listOverrides(daemon.tenant)).toMatchObject([
    { id, reason: 'a release', createdBy: 'program' },
  ])
  expect(await daemon.budgets.revokeOverride(daemon.tenant, id, 'ada')).toBe(true)
  expect(daily(await tracker.getUsageStats('overridden'))).toMatchObject({ limit: 1_000 })
})

test('P-07: a report tells what was used, by model and tool', async () => {
  const tracker = new TokenTracker(daemon)
  await tracker.trackUsage({ orchestratorId: 'reported', model: 'gpt-4.1', promptTokens: 300, toolName: 'search' })
  const startTime = new Date(Date.now() - 86_400_000)

  const report = await tracker.getReport({
    ...{ orchestratorId: 'reported', startTime, endTime: new Date(Date.now() + 60_000) },
    groupBy: ['model', 'tool'],
  })

  expect(report.summary).toMatchObject({ calls: 1, tokens: 300 })
  expect(report.breakdown).toMatchObject([{ model: 'gpt-4.1', tool: 'search', tokens: 300, cost: 0.0006 }])
})

test('what makes no sense is refused by name, and disconnecting gives back what is held', async () => {
  const tracker = new TokenTracker(daemon)
  await expect(tracker.reserveTokens('o', -5)).rejects.toThrow(/tokens: must be a whole number/)
  await expect(tracker.trackUsage({ orchestratorId: '', model: 'm' })).rejects.toThrow(/orchestratorId/)
  await expect(tracker.setBudgetOverride('o', { period: 'session', tokens: 5, reason: 'r' })).rejects.toThrow(/period/)

  await tracker.reserveTokens('leaving', 700)
  await tracker.disconnect()

  expect(daily(await new TokenTracker(daemon).getUsageStats('leaving'))).toMatchObject({ used: 0, reserved: 0 })
})
